"""What can happen to a Redis under an audit: killed and started again, gone for good, evicting, full, shared by two audits."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from auto_interventions.stores import open_store
from auto_interventions.stores.upkeep import Selection, prune

from ..redis_server import RedisServer, Starter
from .faulty import Command, Moment, Undisturbed, ended, findings, held, run, settings, spent

# The command with less patience than two minutes; everything else is as a user has it.
IMPATIENT = "import auto_interventions.stores.redis as adapter; adapter.PATIENCE = 4.0"
ROOM = 250_000  # bytes: less than an audit writes


def memory_used(redis: RedisServer) -> int:
    with redis.client() as client:
        return int(client.info("memory")["used_memory"])


def configure(redis: RedisServer, **settings: object) -> None:
    with redis.client() as client:
        for name, value in settings.items():
            client.config_set(name.replace("_", "-"), str(value))


@pytest.mark.parametrize("kept", [True, False], ids=["its-data-survived", "its-data-is-lost"])
def test_killed_and_started_again_in_mid_run(undisturbed: Undisturbed, start_redis: Starter, tmp_path: Path, kept: bool) -> None:
    """The audit waits, then goes on."""
    redis = start_redis(save=kept)

    def away_for_a_while() -> None:
        redis.kill()
        time.sleep(3)
        redis.start()

    told = run(settings(redis.url), tmp_path / "run", Moment("generate", 3, 0.1), away_for_a_while)
    assert told.code == 0
    assert findings(tmp_path / "run") == findings(undisturbed.folder)
    assert spent(tmp_path / "run")["texts_reused"] == 0
    assert (held(redis.url)["generation"] == undisturbed.texts) == kept


def test_gone_for_good(undisturbed: Undisturbed, prefect_server: str, start_redis: Starter, tmp_path: Path) -> None:
    redis = start_redis(save=True)
    command = Command(tmp_path, prefect_server, settings(redis.url), IMPATIENT)
    running = command.started_until("explore round 2: texts")
    redis.kill()
    code, sentence = ended(running)
    assert code == 3
    for words in (redis.url, "waited 4 seconds for Redis in vain", "start again"):
        assert words in sentence
    again = run(settings(redis.url), command.out, patience=1)
    assert (again.code, "waited 1 seconds" in again.sentence) == (3, True), "it is still gone"
    redis.start()
    left = held(redis.url)
    assert left["generation"] > 0
    assert run(settings(redis.url), command.out).code == 0
    assert findings(command.out) == findings(undisturbed.folder)
    ledger = spent(command.out)
    assert ledger["texts"] - ledger["texts_reused"] == undisturbed.texts - left["generation"]
    assert held(redis.url)["generation"] == undisturbed.texts


def test_evicting(undisturbed: Undisturbed, start_redis: Starter, tmp_path: Path) -> None:
    """A Redis that forgets under the audit's eyes changes no finding; asked again, the audit makes what was forgotten."""
    redis = start_redis()
    with redis.client() as client:
        client.mset({f"of somebody else {number}": bytes(1000) for number in range(6000)})
    configure(redis, maxmemory_policy="allkeys-random", maxmemory=memory_used(redis))  # random: ours go as easily as theirs
    assert run(settings(redis.url), tmp_path / "run").code == 0
    assert findings(tmp_path / "run") == findings(undisturbed.folder)
    left = held(redis.url)
    assert 0 < left["generation"] + left["vector"] < undisturbed.texts + undisturbed.vectors
    prune(open_store(redis.url), Selection(kinds=frozenset({"run"})))  # or the whole run might be taken from there
    assert run(settings(redis.url), tmp_path / "again").code == 0
    assert findings(tmp_path / "again") == findings(undisturbed.folder)
    assert 0 < spent(tmp_path / "again")["texts_reused"] < undisturbed.texts


def test_full(undisturbed: Undisturbed, start_redis: Starter, tmp_path: Path) -> None:
    redis = start_redis()
    configure(redis, maxmemory_policy="noeviction", maxmemory=memory_used(redis) + ROOM)
    told = run(settings(redis.url), tmp_path / "run")
    assert told.code == 3
    for words in (redis.url, "Redis is full (maxmemory)", "raise maxmemory", "start again"):
        assert words in told.sentence
    configure(redis, maxmemory=0)
    left = held(redis.url)
    assert run(settings(redis.url), tmp_path / "run").code == 0
    assert findings(tmp_path / "run") == findings(undisturbed.folder)
    assert spent(tmp_path / "run")["texts_reused"] == left["generation"] > 0


def test_two_audits_at_once(undisturbed: Undisturbed, redis_server: RedisServer, tmp_path: Path) -> None:
    failures: list[BaseException] = []

    def audit(name: str) -> None:
        try:
            assert run(settings(redis_server.url), tmp_path / name).code == 0
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=audit, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert findings(tmp_path / "one") == findings(tmp_path / "two") == findings(undisturbed.folder)
    assert held(redis_server.url)["generation"] == undisturbed.texts


def test_a_killed_audit_resumes(undisturbed: Undisturbed, redis_server: RedisServer, tmp_path: Path) -> None:
    run(settings(redis_server.url), tmp_path / "run", Moment("generate", 3, 0.2))
    left = held(redis_server.url)
    assert run(settings(redis_server.url), tmp_path / "run").code == 0
    assert findings(tmp_path / "run") == findings(undisturbed.folder)
    ledger = spent(tmp_path / "run")
    assert ledger["texts"] - ledger["texts_reused"] == undisturbed.texts - left["generation"]
