"""`auto-interventions store …` as a user types it."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from auto_interventions.cli import main
from auto_interventions.flows.server import free_port
from auto_interventions.runs import Ledger
from auto_interventions.stores import open_store
from auto_interventions.stores.upkeep import record_run

from ..redis_server import RedisServer, Starter
from ..stores.test_upkeep import ENCODER, VECTORS, content, filled

Command = Callable[..., tuple[int, str, str]]
DAY = 86_400


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs it: exit code, stdout, stderr. `answer`: what is typed."""

    def run(*arguments: str | Path, answer: str = "") -> tuple[int, str, str]:
        import io

        monkeypatch.setattr("sys.argv", ["auto-interventions", "store", *map(str, arguments)])
        monkeypatch.setattr("sys.stdin", io.StringIO(answer))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return run


def sentence(errors: str) -> str:
    assert "Traceback" not in errors
    return next(line for line in errors.splitlines() if line.startswith("error: "))


def test_stats_are_a_table(command: Command, tmp_path: Path) -> None:
    store = filled(tmp_path / "s")
    ledger = Ledger()
    with ledger.stage("scan: generate") as counts:
        counts.texts, counts.texts_reused, counts.embeddings_cached, counts.embeddings_computed = 120, 110, 30, 10
    record_run(store, ledger, "my audit", tmp_path / "run")
    code, shown, _ = command("stats", tmp_path / "s")
    assert code == 0
    for words in (
        "vector",
        "minilm",
        "45.0 kB",
        "gpt, story-teller",
        "200 bytes",
        "other",
        "all",
        "On disk",
        "my audit",
        "110 of 120",
        "30 of 40",
    ):
        assert words in shown


def test_stats_are_json(command: Command, tmp_path: Path) -> None:
    filled(tmp_path / "s")
    code, shown, _ = command("stats", tmp_path / "s", "--json")
    data = json.loads(shown)
    assert code == 0
    assert (data["schema"], data["entries"], data["bytes"]) == ("auto-interventions/store@1", 51, 45_203)
    assert data["oldest"] == "1970-01-01T00:08:20+00:00"
    assert data["disk_bytes"] > 45_203
    vectors = next(row for row in data["sizes"] if row["kind"] == "vector")
    assert (vectors["model"], vectors["names"], vectors["entries"]) == (ENCODER[:12], ["minilm"], 30)


def test_the_users_own_store_may_not_exist_yet(command: Command, tmp_path: Path) -> None:
    code, shown, _ = command("stats")
    assert code == 0
    assert "It is empty" in shown
    assert json.loads(command("stats", "--json")[1])["entries"] == 0
    assert not (tmp_path / "cache").exists(), "looking makes nothing"


def test_prune_shows_asks_and_removes(command: Command, tmp_path: Path) -> None:
    store = filled(tmp_path / "s")
    code, shown, asked = command("prune", tmp_path / "s", "--kind", "vector", answer="n\n")
    assert (code, "Nothing was removed." in shown) == (0, True)
    assert "Remove these 30 entries (45.0 kB)?" in asked
    assert len(content(store)) == 54
    code, shown, _ = command("prune", tmp_path / "s", "--kind", "vector", answer="y\n")
    assert (code, "Removed 30 entries." in shown) == (0, True)
    assert len(content(store)) == 23, "and the encoder's name"


def test_prune_by_age_and_without_asking(command: Command, tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "s"))
    now = int(time.time())
    for days in (0, 10, 40):
        store.put_many({VECTORS.of(str(days)): b"x"}, written=now - days * DAY)
    assert "Removed 1 entries." in command("prune", tmp_path / "s", "--older-than", "30d", "--yes")[1]
    assert "Removed 1 entries." in command("prune", tmp_path / "s", "--older-than", "1w", "--yes")[1]
    assert list(content(store)) == [VECTORS.of("0")]


@pytest.mark.parametrize("model", ["minilm", ENCODER[:12], ENCODER[:6]])
def test_prune_by_model(command: Command, tmp_path: Path, model: str) -> None:
    store = filled(tmp_path / "s")
    assert "Removed 30 entries." in command("prune", tmp_path / "s", "--model", model, "--yes")[1]
    assert VECTORS.of("text 0") not in content(store)


def test_a_dry_run_removes_nothing(command: Command, tmp_path: Path) -> None:
    store = filled(tmp_path / "s")
    code, shown, _ = command("prune", tmp_path / "s", "--kind", "vector", "--dry-run", "--yes")
    assert code == 0
    assert "To be removed" in shown
    assert len(content(store)) == 54


def test_nothing_to_remove(command: Command, tmp_path: Path) -> None:
    filled(tmp_path / "s")
    code, shown, _ = command("prune", tmp_path / "s", "--kind", "reply", "--yes")
    assert (code, "Nothing to remove" in shown) == (0, True)


def test_to_a_file_and_back(command: Command, tmp_path: Path) -> None:
    store, file = filled(tmp_path / "s"), tmp_path / "backup" / "mine.sqlite3"
    code, shown, _ = command("export", tmp_path / "s", file)
    assert code == 0
    assert "Copied 51 entries (45.2 kB)" in shown
    assert [path.name for path in file.parent.iterdir()] == ["mine.sqlite3"], "one file, to be copied as it is"
    code, shown, _ = command("import", file)
    assert code == 0
    assert content(open_store("embedded")) == content(store)
    assert "51 were there already" in command("import", file)[1]


def test_from_the_users_own_store_to_a_folder_with_filters(command: Command, tmp_path: Path) -> None:
    filled(tmp_path / "cache")  # where AUTO_INTERVENTIONS_CACHE points
    code, shown, _ = command("export", tmp_path / "part", "--kind", "generation", "--model", "gpt")
    assert (code, "Copied 20 entries" in shown) == (0, True)
    code, _, errors = command("export", tmp_path / "part", "--newer-than", "1h")
    assert (code, "holds nothing of what is meant" in sentence(errors)) == (2, True)


def write_newer(folder: Path) -> None:
    filled(folder).close()
    with sqlite3.connect(next(folder.glob("*.sqlite3"))) as newer:
        newer.execute("PRAGMA user_version = 99")
    newer.close()


def test_to_redis_and_back(command: Command, tmp_path: Path, redis_server: RedisServer) -> None:
    store = filled(tmp_path / "s")
    code, shown, _ = command("export", tmp_path / "s", redis_server.url)
    assert (code, f"Copied 51 entries (45.2 kB) to {redis_server.url}" in shown) == (0, True)
    assert content(open_store(redis_server.url)) == content(store)
    code, shown, _ = command("import", redis_server.unix_url, tmp_path / "back.sqlite3")
    assert code == 0
    assert content(open_store(str(tmp_path / "back.sqlite3"))) == content(store)
    assert "51 were there already" in command("export", tmp_path / "back.sqlite3", redis_server.url)[1]


def test_redis_tells_its_memory_and_is_pruned(command: Command, tmp_path: Path, redis_server: RedisServer) -> None:
    filled(tmp_path / "s")
    command("export", tmp_path / "s", redis_server.url)
    code, shown, _ = command("stats", redis_server.url)
    assert code == 0
    for words in (redis_server.url, "minilm", "45.0 kB", "Memory of the server, all its users together", "without a limit"):
        assert words in shown
    data = json.loads(command("stats", redis_server.url, "--json")[1])
    assert (data["entries"], data["max"], data["policy"]) == (51, 0, "noeviction")
    assert data["used"] > 45_000
    assert "Removed 30 entries." in command("prune", redis_server.url, "--model", "minilm", "--yes")[1]
    assert json.loads(command("stats", redis_server.url, "--json")[1])["entries"] == 21


def test_namespaces_are_stores_of_their_own(command: Command, tmp_path: Path, redis_server: RedisServer) -> None:
    filled(tmp_path / "s")
    one, other = (f"{redis_server.url}?namespace={name}" for name in ("one", "other"))
    command("export", tmp_path / "s", one)
    assert "It is empty" in command("stats", other)[1]
    assert "Copied 51 entries" in command("export", one, other)[1]
    assert "is the store itself" in command("export", one, f"{one}&ttl=30d")[2]


def test_a_redis_that_is_not_there(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auto_interventions.stores.places.PATIENCE", 0.5)
    code, _, errors = command("stats", f"redis://127.0.0.1:{free_port()}/0")
    assert (code, "waited 0.5 seconds for Redis in vain" in sentence(errors)) == (3, True)


def test_a_copy_to_a_full_redis_goes_on_when_there_is_room(command: Command, tmp_path: Path, start_redis: Starter) -> None:
    redis = start_redis()
    with redis.client() as client:
        client.config_set("maxmemory", int(client.info("memory")["used_memory"]) + 100_000)
    store = filled(tmp_path / "s", vectors=500)
    code, _, errors = command("export", tmp_path / "s", redis.url)
    assert (code, "Redis is full (maxmemory)" in sentence(errors)) == (3, True)
    with redis.client() as client:
        client.config_set("maxmemory", 0)
    code, shown, _ = command("export", tmp_path / "s", redis.url)
    assert (code, "were there already" in shown) == (0, True)
    assert content(open_store(redis.url)) == content(store)


def files(folder: Path) -> list[Path]:
    """All but what SQLite keeps beside an open database."""
    return [path for path in folder.rglob("*") if path.is_file() and path.suffix in (".sqlite3", ".txt")]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["stats", "nowhere"], ["nowhere", "there is no store"]),
        (["stats", "text.txt"], ["text.txt", "is no store"]),
        (["stats", "foreign.sqlite3"], ["foreign.sqlite3", "no store at all"]),
        (["stats", "newer"], ["newer version", "update"]),
        (["stats", "s3://bucket"], ["s3://"]),
        (["stats", "redis://me:secret@localhost:1/0"], ["REDIS_PASSWORD"]),
        (["export", "redis://:secret@localhost:1/0"], ["REDIS_PASSWORD"]),
        (["prune", "s"], ["--older-than", "--model", "--kind"]),
        (["prune", "s", "--older-than", "a month"], ["--older-than", "'a month'", "30d"]),
        (["prune", "s", "--kind", "vectors"], ["--kind vectors", "did you mean `vector`?"]),
        (["prune", "s", "--model", "minlm"], ["--model minlm", "did you mean `minilm`?"]),
        (["prune", "s", "--kind", "vector"], ["nobody answered", "--yes"]),
        (["prune", "--kind", "vector", "--yes"], ["there is no store"]),
        (["import", "nowhere.sqlite3"], ["nowhere.sqlite3", "there is no store"]),
        (["import", "s", "s"], ["is the store itself"]),
        (["export", "s", "./s/store.sqlite3"], ["is the store itself"]),
        (["export", "s", "text.txt"], ["text.txt"]),
        (["export", "a", "b", "c"], ["not 3 places"]),
        (["export", "empty", "b"], ["holds nothing"]),
    ],
    ids=lambda value: " ".join(value[:3]),
)
def test_bad_input_is_one_sentence(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    filled(tmp_path / "s").close()
    filled(tmp_path / "cache").close() if arguments[0] == "export" else None
    open_store("empty").close()
    write_newer(tmp_path / "newer")
    for name in ("text.txt", "foreign.sqlite3"):
        (tmp_path / name).write_text("my diary " * 100)
    before = {path: path.stat().st_size for path in files(tmp_path)}
    code, shown, errors = command(*arguments)
    assert (code, "secret" in errors + shown) == (2, False)
    for word in words:
        assert word in sentence(errors)
    assert {path: path.stat().st_size for path in files(tmp_path)} == before, "nothing is made, nothing changed"
