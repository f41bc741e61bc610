"""What can happen to an embedded store under an audit: a full disk, another audit, a truncated file, a newer version. No Redis."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import threading
from pathlib import Path

import pytest

from auto_interventions.stores import open_store
from auto_interventions.stores.upkeep import Selection, prune

from .faulty import Command, Moment, Undisturbed, findings, held, run, settings, spent

FILE = "store.sqlite3"


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_stops_the_audit_and_space_lets_it_go_on(undisturbed: Undisturbed, prefect_server: str, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk)], capture_output=True, check=False).returncode:
        pytest.skip("this machine mounts no tmpfs")
    try:
        command = Command(tmp_path, prefect_server, settings(disk))
        code, sentence = command.audit()
        assert code == 3
        assert str(disk / FILE) in sentence
        assert "disk" in sentence
        assert "start the audit again" in sentence or "start again" in sentence
        assert not (command.out / "findings.json").exists()
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        left = held(disk)
        assert run(settings(disk), command.out).code == 0
        assert findings(command.out) == findings(undisturbed.folder)
        ledger = spent(command.out)
        assert ledger["texts_reused"] == left["generation"] > 0
        assert ledger["texts"] - ledger["texts_reused"] == held(disk)["generation"] - left["generation"]
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_file_truncated_after_a_kill_is_told(undisturbed: Undisturbed, prefect_server: str, tmp_path: Path) -> None:
    config, file = settings(tmp_path / "store"), tmp_path / "store" / FILE
    command = Command(tmp_path, prefect_server, config)
    run(config, command.out, Moment("confirm"))
    with sqlite3.connect(file) as database:  # what the log holds into the file, or the truncation would only cut the log's copy
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    os.truncate(file, int(file.stat().st_size * 0.6))
    code, sentence = command.audit()
    assert code == 2
    assert f"{file}: the store is damaged" in sentence
    assert "move the file away" in sentence
    file.rename(tmp_path / "damaged")
    assert run(config, command.out).code == 0
    assert spent(command.out)["texts_reused"] == 0
    assert findings(command.out) == findings(undisturbed.folder)


def test_a_file_truncated_in_mid_run_is_told(undisturbed: Undisturbed, tmp_path: Path) -> None:
    """Cut between the readings of an audit that finds all its texts and vectors there."""
    config, file = settings(tmp_path / "store"), tmp_path / "store" / FILE
    shutil.copytree(undisturbed.folder.parent / "store", tmp_path / "store")
    prune(store := open_store(str(tmp_path / "store")), Selection(kinds=frozenset({"run"})))  # or the run would be taken whole
    store.close()
    told = run(config, tmp_path / "run", Moment("generate", 2), lambda: os.truncate(file, file.stat().st_size // 2))
    assert told.code == 2
    assert f"{file}: the store is damaged" in told.sentence
    shutil.rmtree(tmp_path / "store")
    assert run(config, tmp_path / "run").code == 0
    assert findings(tmp_path / "run") == findings(undisturbed.folder)


def test_a_store_of_a_newer_version_is_left_alone(prefect_server: str, tmp_path: Path) -> None:
    command = Command(tmp_path, prefect_server, settings(tmp_path / "store"))
    held(tmp_path / "store")  # makes it
    file = tmp_path / "store" / FILE
    with sqlite3.connect(file) as newer:
        newer.execute("PRAGMA user_version = 99")
    newer.close()
    before = file.read_bytes()
    code, sentence = command.audit()
    assert code == 2
    assert "newer version of auto-interventions" in sentence
    assert "update auto-interventions" in sentence
    assert file.read_bytes() == before
    assert not command.out.exists()


def test_audits_at_once_on_one_store(undisturbed: Undisturbed, tmp_path: Path) -> None:
    """Two of the same audit and one of another seed: each ends as it would have alone, and the store holds each value once."""
    alone, store = tmp_path / "alone", tmp_path / "store"
    assert run(settings(tmp_path / "alone-store", seed=1), alone).code == 0
    failures: list[BaseException] = []

    def audit(name: str, seed: int) -> None:
        try:
            assert run(settings(store, seed=seed), tmp_path / name).code == 0
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=audit, args=arguments) for arguments in (("one", 0), ("two", 0), ("three", 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert findings(tmp_path / "one") == findings(tmp_path / "two") == findings(undisturbed.folder)
    assert findings(tmp_path / "three") == findings(alone)
    assert held(store)["generation"] == undisturbed.texts + spent(alone)["texts"]
