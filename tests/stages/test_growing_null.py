"""Greedy mining does not make evidence out of nothing: two equal writers, prompts mined wherever past texts looked most different."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from auto_interventions import stages
from auto_interventions.config import AuditConfig
from auto_interventions.fingerprint import generator
from auto_interventions.records import ROLES, FloatMatrix, Generation, Prompt, Role
from auto_interventions.stages.workspace import Workspace
from auto_interventions.subjects import Request, jobs_of
from auto_interventions.subjects.base import Progress

WORDS = [f"word{number}" for number in range(24)]
LENGTH = 12
AUDITS = 16
ALPHA = 0.2


class Writer:
    """Writes random walks over `WORDS` that depend on the last word before them. Both roles walk alike."""

    label = fingerprint = "writer"

    def __init__(self, role: Role, seed: int, copies: bool) -> None:
        self.role: Role = role
        self.seed, self.copies = seed, copies
        self.written: dict[str, list[str]] = {}

    def available(self, prompt: Prompt) -> int | None:
        return None

    def generate(self, requests: Sequence[Request], progress: Progress | None = None) -> list[Generation]:
        return [self._write(job.prompt, job.sample) for job in jobs_of(requests)]

    def _write(self, prompt: Prompt, sample: int) -> Generation:
        old = [text for text in self.written.get(prompt.text, []) if prompt.prefix and text.startswith(prompt.prefix)]
        random = generator("writer", self.seed, self.role, *prompt.asked, sample)
        place = int(random.integers(24))
        words = list[str]()
        for _ in range(LENGTH):
            place = (place * 5 + int(random.choice([1, 1, 1, 2, 3, 7, 11]))) % len(WORDS)
            words.append(WORDS[place])
        text = old[sample % len(old)][len(prompt.prefix) :] if self.copies and old else " " + " ".join(words)
        self.written.setdefault(prompt.text, []).append(prompt.prefix + text)
        return Generation(self.role, prompt, sample, text, LENGTH, True)


class Encoder:
    """Vectors that say nothing: the words alone can be told apart."""

    computed = cached = 0
    dimension = 2

    def encode(self, texts: Sequence[str], progress: Progress | None = None, into: FloatMatrix | None = None) -> FloatMatrix:
        return np.zeros((len(texts), 2), dtype=np.float32)


def said(folder: Path, seed: int, copies: bool) -> tuple[bool, int]:
    """Whether any look during an audit of equal writers saw a difference; how many prompts were mined."""
    config = AuditConfig.model_validate(
        {
            "name": "null",
            "base": {"model": "m"},
            "intervention": {"model": "m"},
            "prompts": {"path": "p", "strata": "given", "prefix_words": 3},
            "sampling": {"max_texts": 2000, "initial": 96, "per_round": 72, "rounds": 6, "seed": seed, "prefixes_after": 4},
            "inference": {"alpha": ALPHA},
            "store": str(folder / "store"),
        }
    )
    with Workspace.create(config, folder / f"run {seed} {copies}") as where:
        where.__dict__["subjects"] = {role: Writer(role, seed, copies) for role in ROLES}
        where.__dict__["encoder"] = Encoder()
        where.prompts = tuple(Prompt(f"Write walk {number}.", "walks", "confirm" if number % 2 else "explore") for number in range(16))
        round = 0
        while stages.plan(where, "explore", round):
            for role in ROLES:
                stages.generate(where, "explore", round, role)
            stages.embed(where, round)
            stages.diverge(where, round)
            round += 1
        return where.peeks["different"] or where.peeks["divergent"], sum(bool(prompt.prefix) for prompt in where.prompts)


def test_equal_writers_are_not_told_apart_however_greedily_their_texts_are_mined(tmp_path: Path) -> None:
    results = [said(tmp_path, seed, copies=False) for seed in range(AUDITS)]
    assert min(mined for _, mined in results) >= 8, "each audit mined"
    alarms = sum(alarm for alarm, _ in results)
    assert alarms <= ALPHA * AUDITS + 2 * np.sqrt(ALPHA * (1 - ALPHA) * AUDITS)


def test_this_simulation_would_notice_texts_that_are_not_fresh(tmp_path: Path) -> None:
    """Writers that go on as they did before: what was learned from the old texts would win on them again."""
    assert sum(said(tmp_path, seed, copies=True)[0] for seed in range(AUDITS // 2)) > AUDITS // 4
