from __future__ import annotations

import os
import pickle
import random
import re
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from auto_interventions.errors import Interrupted, RunDirectoryError
from auto_interventions.stores import open_store
from auto_interventions.stores.embedded import FILE_NAME, EmbeddedStore

WRITER = """
import sys
from auto_interventions.stores import open_store
folder, name, batches, size = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
store = open_store(folder)
print("ready", flush=True)
for batch in range(batches):
    items = {f"vector/v1/{name}-{batch}-{row}": f"{name} {batch} {row} ".encode() * 100 for row in range(size)}
    items[f"shared/{batch}"] = b"the same from both"
    store.put_many(items)
    print(batch, flush=True)
"""


def start_writer(folder: Path, name: str, batches: int, size: int = 50) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(folder), name, str(batches), str(size)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_values_come_back_in_order_of_the_keys_and_absent_ones_are_none(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "a" / "b"))
    store.put_many({"k/1": b"one", "k/2": b"", "k/3": bytes(range(256))})
    assert store.get_many(["k/3", "k/0", "k/1", "k/2", "k/1"]) == [bytes(range(256)), None, b"one", b"", b"one"]
    store.put_many({"k/1": b"changed"})
    store.put_many({})
    assert store.get_many(["k/1"]) == [b"changed"]
    assert store.get_many([]) == []


def test_more_keys_than_a_query_takes(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    items = {f"key/{row}": str(row).encode() for row in range(25_000)}
    store.put_many(items)
    assert store.get_many(list(items)) == list(items.values())


def test_survives_closing_and_opening(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    store.put_many({"a": b"1"})
    store.close()
    assert store.get_many(["a"]) == [b"1"]  # opens again by itself
    store.close()
    assert open_store(str(tmp_path)).get_many(["a"]) == [b"1"]


def test_embedded_is_the_cache_folder_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTO_INTERVENTIONS_CACHE", str(tmp_path / "mine"))
    open_store("embedded").put_many({"a": b"1"})
    assert (tmp_path / "mine" / FILE_NAME).is_file()


def test_two_processes_write_at_once(tmp_path: Path) -> None:
    # The file does not exist yet: both also race to make it.
    writers = [start_writer(tmp_path, name, batches=40) for name in ("left", "right")]
    for writer in writers:
        _, problems = writer.communicate(timeout=120)
        assert writer.returncode == 0, problems
    keys = [f"vector/v1/{name}-{batch}-{row}" for name in ("left", "right") for batch in range(40) for row in range(50)]
    values = open_store(str(tmp_path)).get_many(keys)
    expected = [f"{name} {batch} {row} ".encode() * 100 for name in ("left", "right") for batch in range(40) for row in range(50)]
    assert values == expected


@pytest.mark.parametrize("seed", range(3))
def test_a_killed_writer_loses_at_most_the_batch_in_flight(tmp_path: Path, seed: int) -> None:
    writer = start_writer(tmp_path, "w", batches=100_000, size=200)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "ready\n"
    assert writer.stdout.readline() == "0\n"
    time.sleep(random.Random(seed).uniform(0, 0.3))
    os.kill(writer.pid, signal.SIGKILL)
    told = [0, *map(int, writer.stdout.read().split())]
    writer.wait()
    store = open_store(str(tmp_path))
    for batch in range(told[-1] + 1):
        assert None not in store.get_many([f"vector/v1/w-{batch}-{row}" for row in range(200)]), "a batch that was told written is lost"
    after = store.get_many([f"vector/v1/w-{told[-1] + 1}-{row}" for row in range(200)])
    assert after.count(None) in (0, 200), "half a batch"
    store.put_many({"goes": b"on"})
    assert store.get_many(["goes"]) == [b"on"]


def test_many_threads_share_one_store(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))

    def work(name: int) -> bool:
        for batch in range(10):
            store.put_many({f"{name}/{batch}/{row}": f"{name}{batch}{row}".encode() for row in range(20)})
            keys = [f"{name}/{seen}/{row}" for seen in range(batch + 1) for row in range(20)]
            if None in store.get_many(keys):
                return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))


def test_a_forked_and_a_pickled_copy_use_their_own_connections(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    store.put_many({"a": b"1"})
    assert pickle.loads(pickle.dumps(store)).get_many(["a"]) == [b"1"]
    child = os.fork()
    if child == 0:
        try:
            store.put_many({"child": b"2"})
            os._exit(0)
        except BaseException:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    store.put_many({"parent": b"3"})
    assert store.get_many(["a", "child", "parent"]) == [b"1", b"2", b"3"]


def test_a_full_disk_is_one_sentence_and_keeps_what_was_written(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    store.put_many({"before": b"1"})
    with store._connection() as connection:  # SQLite's own SQLITE_FULL, without filling the machine's disk
        connection.execute("PRAGMA max_page_count = 20")
    with pytest.raises(Interrupted, match=r"store\.sqlite3: the disk is full; .* free some space and start again"):
        store.put_many({f"k{row}": os.urandom(10_000) for row in range(100)})
    assert store.get_many(["before", "k0"]) == [b"1", None]
    store.put_many({"after": b"2"})  # a new connection, without the limit
    assert store.get_many(["after"]) == [b"2"]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_really_full_disk(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], capture_output=True, check=False).returncode:
        pytest.skip("this machine mounts no tmpfs")
    try:
        store = open_store(str(disk))
        store.put_many({"before": b"1"})
        with pytest.raises(Interrupted, match="disk"):
            store.put_many({f"k{row}": os.urandom(10_000) for row in range(1000)})
        assert store.get_many(["before", "k0"]) == [b"1", None]
        store.close()
    finally:
        subprocess.run(["umount", str(disk)], check=True)


LIMITED = """
import os, resource, sys
from auto_interventions.errors import Interrupted
from auto_interventions.stores import open_store
store = open_store(sys.argv[1])
store.put_many({"before": b"1"})
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, resource.RLIM_INFINITY))
for _ in range(2):
    try:
        store.put_many({f"k{row}": os.urandom(10_000) for row in range(1000)})
    except Interrupted as error:
        print(error)
print(store.get_many(["before", "k0"]))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
store.put_many({"after": b"2"})
print(store.get_many(["before", "k0", "after"]))
"""


def test_a_file_that_may_not_grow_any_more(tmp_path: Path) -> None:
    """A quota, as the kernel tells it; needs no root."""
    told = subprocess.run([sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(told) == 4
    for line in told[:2]:
        assert "store.sqlite3: the disk " in line
        assert "start again" in line
    assert told[2:] == ["[b'1', None]", "[b'1', None, b'2']"]


def filled(folder: Path) -> Path:
    store = open_store(str(folder))
    store.put_many({f"vector/v1/{row}": os.urandom(1500) for row in range(2000)})
    store.close()
    return folder / FILE_NAME


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.99])
def test_a_truncated_file_is_told_when_it_is_opened(tmp_path: Path, kept: float) -> None:
    file = filled(tmp_path)
    os.truncate(file, int(file.stat().st_size * kept))
    with pytest.raises(RunDirectoryError, match=r"store\.sqlite3: the store is damaged .*; move the file away"):
        open_store(str(tmp_path))


TRUNCATED = """
import os, sys
from auto_interventions.stores import open_store
store = open_store(sys.argv[1])
keys = [f"vector/v1/{row}" for row in range(20_000)]
store.put_many({key: os.urandom(1500) for key in keys})
store.put_many({"the log": b"is not empty"})
store.get_many(keys)  # all of the file is mapped
os.truncate(store.path, int(os.path.getsize(store.path) * float(sys.argv[2])))
try:
    store.get_many(keys)
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize("kept", ["0.1", "0.9"])
def test_a_file_truncated_under_an_open_store_is_told(tmp_path: Path, kept: str) -> None:
    done = subprocess.run([sys.executable, "-c", TRUNCATED, str(tmp_path), kept], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"killed: {done.returncode}"
    assert re.match(r"RunDirectoryError .*store\.sqlite3: the store is damaged .*; move the file away", done.stdout)


def test_bytes_overwritten_in_the_middle_are_never_a_wrong_answer(tmp_path: Path) -> None:
    file = filled(tmp_path)
    with file.open("r+b") as stream:
        stream.seek(file.stat().st_size // 2)
        stream.write(b"\xff" * 40_000)
    with pytest.raises(RunDirectoryError, match="move the file away"):
        open_store(str(tmp_path)).get_many([f"vector/v1/{row}" for row in range(2000)])


def test_a_foreign_file_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("my diary " * 100)
    with pytest.raises(RunDirectoryError, match="no store at all"):
        open_store(str(tmp_path))
    assert (tmp_path / FILE_NAME).read_text() == "my diary " * 100


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE_NAME) as other:
        other.execute("CREATE TABLE entries (x)")
    other.close()
    with pytest.raises(RunDirectoryError, match="another program; give `store` another folder"):
        open_store(str(tmp_path))


def test_a_newer_layout_is_told(tmp_path: Path) -> None:
    file = filled(tmp_path)
    with sqlite3.connect(file) as newer:
        newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(RunDirectoryError, match=r"newer version of auto-interventions .*; update"):
        open_store(str(tmp_path))


def test_a_file_in_the_folders_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunDirectoryError, match="give `store` another folder"):
        open_store(str(tmp_path / "file"))


def test_a_location_that_ends_in_sqlite3_is_the_file_itself(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "backup.sqlite3")
    store.put_many({"a": b"1"})
    assert (tmp_path / "backup.sqlite3").is_file()
    assert store.location == str(tmp_path / "backup.sqlite3")
    assert pickle.loads(pickle.dumps(store)).get_many(["a"]) == [b"1"]
    folder = tmp_path / "odd.sqlite3"
    folder.mkdir()
    assert EmbeddedStore(folder).location == str(folder / FILE_NAME)
    assert pickle.loads(pickle.dumps(EmbeddedStore(folder))).location == str(folder / FILE_NAME)


def test_compacting_gives_space_back_to_the_disk(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    keys = [f"vector/v1/{row}" for row in range(2000)]
    store.put_many({key: os.urandom(1500) for key in keys})
    store.compact()
    full = store.path.stat().st_size
    assert store.delete_many(keys[100:]) == 1900
    other = EmbeddedStore(tmp_path)  # an audit at work
    assert None not in other.get_many(keys[:100])
    store.compact()
    assert store.path.stat().st_size < full / 5
    assert None not in other.get_many(keys[:100])


def test_entries_are_told_while_they_are_deleted_and_written(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    store.put_many({f"k/{row}": b"x" for row in range(10_000)})
    assert store.delete_many(entry.key for entry in store.entries("k/")) == 10_000
    assert list(store.entries()) == []
