"""SIGKILL at random moments of every stage: the resumed audit ends as if nothing had happened, and nothing is made twice.

Twenty kills: seventeen of audits as plain calls (`stages.order`), three of the command with a Prefect server.
"""

from __future__ import annotations

import logging
import random
from collections import Counter
from pathlib import Path

import pytest

from auto_interventions.stores import open_store
from auto_interventions.stores.upkeep import survey

from .faulty import Command, Undisturbed, findings, held, moments, run, settings, spent

LOG = logging.getLogger(__name__)
SEED = 4
STAGES = (
    *("restore", "prepare", "plan", "generate", "generate", "generate", "generate", "embed", "embed", "embed", "cluster"),
    *("diverge", "propose", "confirm", "conclude", "report", "keep"),
)
LINES = ("explore round 1: texts of the intervention", "explore round 2: embedding", "confirm round 1: judging")


def test_the_audit_is_worth_killing(undisturbed: Undisturbed) -> None:
    """Every stage runs, some of them more than once, and texts come in many batches."""
    assert set(STAGES) <= {name for name, _, _ in undisturbed.told.stages}
    assert [name for name, _, _ in undisturbed.told.stages].count("confirm") >= 2
    ledger = spent(undisturbed.folder)
    assert (ledger["texts_reused"], ledger["texts"]) == (0, undisturbed.texts)
    assert ledger["embeddings_computed"] == undisturbed.vectors
    assert b'"validated"' in findings(undisturbed.folder)
    (record,) = survey(open_store(str(undisturbed.folder.parent / "store"))).runs
    assert (record.name, record.texts, record.texts_reused, record.embeddings_computed) == ("faulty 0", 360, 0, undisturbed.vectors)


@pytest.mark.parametrize("number", range(len(STAGES)), ids=lambda number: f"{number}-{STAGES[number]}")
def test_a_kill_costs_the_batch_in_flight_and_nothing_else(undisturbed: Undisturbed, tmp_path: Path, number: int) -> None:
    kill = moments(undisturbed.told, STAGES, SEED)[number]
    LOG.warning("seed %s: %s", SEED, kill)
    config = settings(tmp_path / "store")
    killed = run(config, tmp_path / "run", kill)
    left = held(tmp_path / "store")
    LOG.warning("killed in `%s`; %s texts told, %s kept", killed.killed_in, killed.texts, dict(left))
    resumed = run(config, tmp_path / "run")
    assert resumed.code == 0
    assert killed.code is None or kill.stage == "keep", "the last stage is so short that it may be over"
    assert findings(tmp_path / "run") == findings(undisturbed.folder)
    assert left["generation"] >= killed.texts, "a text that was told as done is lost"
    same_as_undisturbed(tmp_path / "run", tmp_path / "store", left, undisturbed)


def same_as_undisturbed(folder: Path, store: Path, left: Counter[str], undisturbed: Undisturbed) -> None:
    """The resumed run made exactly what was missing, and both together what the undisturbed one made."""
    ledger, now = spent(folder), held(store)
    assert (now["generation"], now["vector"]) == (undisturbed.texts, undisturbed.vectors)
    assert ledger["texts"] - ledger["texts_reused"] == undisturbed.texts - left["generation"]
    assert ledger["embeddings_computed"] == undisturbed.vectors - left["vector"]


@pytest.mark.parametrize("number", range(len(LINES)), ids=[line.replace(" ", "-") for line in LINES])
def test_the_command_too(undisturbed: Undisturbed, prefect_server: str, tmp_path: Path, number: int) -> None:
    """The whole process group is killed up to a second after it says a line."""
    delay = random.Random(f"{SEED}:{number}").uniform(0, 1)
    LOG.warning("seed %s: %.3f s after `%s`", SEED, delay, LINES[number])
    command = Command(tmp_path, prefect_server, settings(tmp_path / "store"))
    command.killed_at(LINES[number], delay)
    left = held(tmp_path / "store")
    assert command.audit()[0] == 0
    assert findings(command.out) == findings(undisturbed.folder)
    same_as_undisturbed(command.out, tmp_path / "store", left, undisturbed)
