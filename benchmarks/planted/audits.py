"""One audit of a simulated world through the library's real stages, and its score."""

from __future__ import annotations

import json
import math
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from auto_interventions import stages
from auto_interventions.config import AuditConfig, InferenceConfig
from auto_interventions.confirming import validated
from auto_interventions.fingerprint import canonical_json, generator
from auto_interventions.hypotheses.asking import matrix
from auto_interventions.hypotheses.predicates import parse_predicate
from auto_interventions.records import ROLES, BoolArray, FloatMatrix, Hypothesis, IntArray
from auto_interventions.stages.workspace import Workspace
from benchmarks.planted.pool import Pool
from benchmarks.planted.scoring import Discovery, Scored, scored, weighted_phi
from benchmarks.planted.world import Cell, LookupEncoder, SimulatedSubject, World

INITIAL, PER_ROUND = 800, 400
ROUNDS_A_BUDGET = 20
_UNKNOWN = -1.0
_SOME = 1_000  # texts on which proposals are compared with the plant


class PoolJudge:
    """The predicate judge, which remembers its verdicts on the pool's texts: the same verdicts, each computed once a process."""

    name = "predicate"

    def __init__(self, pool: Pool) -> None:
        """Knows nothing yet."""
        self._pool = pool
        self._held: dict[str, FloatMatrix] = {}

    def score(self, hypotheses: Sequence[Hypothesis], texts: Sequence[str]) -> FloatMatrix:
        """See `Judge`."""
        row_of = self._pool.row_of
        return self.holds(hypotheses, np.array([row_of[text] for text in texts], dtype=np.int64))

    def holds(self, hypotheses: Sequence[Hypothesis], rows: IntArray) -> FloatMatrix:
        """(H, n) scores of the pool's texts `rows` (n,)."""
        if not hypotheses:
            return np.zeros((0, len(rows)), dtype=np.float32)
        wanted = np.unique(rows)
        keys = [canonical_json(one.check) for one in hypotheses]
        for key in keys:
            if key not in self._held:
                self._held[key] = np.full(len(self._pool.texts), _UNKNOWN, dtype=np.float32)
        for part in np.array_split(wanted, max(1, len(wanted) // 512)):
            self._compute(hypotheses, keys, part)
        return np.stack([self._held[key][rows] for key in keys])

    def _compute(self, hypotheses: Sequence[Hypothesis], keys: Sequence[str], rows: IntArray) -> None:
        missing = np.stack([self._held[key][rows] == _UNKNOWN for key in keys])
        needed = np.flatnonzero(missing.any(axis=1)).tolist()
        rows = rows[missing.any(axis=0)]
        if needed and len(rows):
            texts = [self._pool.texts[row] for row in rows.tolist()]
            found = matrix([parse_predicate(hypotheses[number].check or {}) for number in needed], texts)
            for number, scores in zip(needed, found, strict=True):
                self._held[keys[number]][rows] = scores


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one audit found. `explored` + `confirmed` = the texts that it used, both models; `peeked`: anything at any peek.

    `proposed`, of audits that missed the plant: the best agreement of a proposed sentence with it, and the sentence.
    """

    strategy: str
    budget: int
    seed: int
    explored: int
    confirmed: int
    seconds: float
    hypotheses: int
    proposed: tuple[float, str] | None
    scored: Scored
    peeked: dict[str, bool]
    stopped: str = ""

    @property
    def texts(self) -> int:
        """Explore and confirm together."""
        return self.explored + self.confirmed


def settings(world: World, strategy: str, budget: int, folder: Path) -> AuditConfig:
    """The audit file of a world. Everything not named here is the library's default.

    Who plants less than the default smallest effect of interest asks for what was planted: else the audit rightly stops without it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "prompts.jsonl"
    rows = (json.dumps({"prompt": prompt.text, "stratum": prompt.stratum}) for prompt in world.prompts)
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    clusters = {"clusters": 40} if budget < 20_000 else {}
    return AuditConfig.model_validate(
        {
            "name": "planted",
            "base": {"model": "simulated"},
            "intervention": {"model": "simulated", "adapter": "planted"},
            "prompts": {"path": str(path), "strata": "given"},
            "sampling": {
                "max_texts": budget,
                "initial": min(INITIAL, budget // 4),
                "per_round": min(PER_ROUND, int(budget // ROUNDS_A_BUDGET)),
                "rounds": 1_000,
                "strategy": strategy,
                "seed": world.seed,
                "prefixes_after": None,
            },
            "clustering": clusters,
            "inference": {"smallest_effect": world.cell.effect} if 0 < world.cell.effect < InferenceConfig().smallest_effect else {},
            "store": str(folder / "store"),
        }
    )


def run_audit(
    world: World, strategy: str, budget: int, judge: PoolJudge, every_stage: bool = False, keep: list[Workspace] | None = None
) -> Outcome:
    """Runs the stages in their order, up to the verdicts; tables and report are left out, as nobody reads them here."""
    started = time.perf_counter()
    folder = Path(tempfile.mkdtemp(prefix="planted-"))
    try:
        config = settings(world, strategy, budget, folder)
        with Workspace.create(config, folder / "run") as where:
            where.__dict__["subjects"] = {role: SimulatedSubject(world, role) for role in ROLES}
            where.__dict__["encoder"] = LookupEncoder(world.pool)
            where.language.checker = judge
            where.write_run = lambda: None  # files that nobody reads
            _explore(where, skip=strategy == "exhaustive" and not every_stage)
            stages.propose(where)
            _confirm(where)
            if keep is not None:
                keep.append(where)
            return _outcome(where, world, judge, time.perf_counter() - started)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _explore(where: Workspace, skip: bool) -> None:
    """As `stages.order` does it. An exhaustive audit's clusters and bets decide nothing of what it validates, and are left out."""
    stages.prepare(where)
    round = 0
    while stages.plan(where, "explore", round):
        for role in ROLES:
            stages.generate(where, "explore", round, role)
        if skip:
            where.exploring = replace(where.explore_state(), texts=2 * len(where.explored_pairs()))
            return
        stages.embed(where, round)
        stages.cluster(where, round)
        stages.diverge(where, round)
        round += 1


def _confirm(where: Workspace) -> None:
    round = 0
    while stages.plan(where, "confirm", round):
        for role in ROLES:
            stages.generate(where, "confirm", round, role)
        stages.confirm(where, round)
        round += 1


def discoveries_of(where: Workspace, judge: PoolJudge, world: World) -> list[Discovery]:
    """The validated sentences."""
    if not where.hypotheses:
        return []
    state = where.confirm_state()
    chosen = np.flatnonzero(validated(state, where.explore_state(), where.config.inference.alpha)).tolist()
    held = _on_pool(judge, [where.hypotheses[number] for number in chosen], world, world.texts)
    found: list[Discovery] = []
    for row, number in zip(held, chosen, strict=True):
        difference = float(np.nanmean(state.scores_intervention[number] - state.scores_base[number]))
        leans = difference > 0 or (difference == 0 and where.hypotheses[number].more_in == "intervention")
        found.append(Discovery(where.hypotheses[number].statement, row, 1 if leans else -1))
    return found


def _on_pool(judge: PoolJudge, hypotheses: Sequence[Hypothesis], world: World, rows: IntArray) -> BoolArray:
    """(H, N) whether each sentence fits each text of the pool, looked up for `rows` only."""
    held = np.zeros((len(hypotheses), len(world.pool.texts)), dtype=np.bool_)
    held[:, rows] = judge.holds(hypotheses, rows) >= 0.5
    return held


def _best_proposal(where: Workspace, judge: PoolJudge, world: World) -> tuple[float, str]:
    """The best agreement of any proposed sentence with the plant, on some texts, and the sentence: could confirming have found it?"""
    some = generator("planted proposals").choice(world.texts, min(_SOME, len(world.texts)), replace=False)
    weights = np.zeros(len(world.pool.texts))
    weights[some] = world.halves[some]
    weights /= max(weights.sum(), 1e-12)
    best = (0.0, "")
    for one, row in zip(where.hypotheses, _on_pool(judge, where.hypotheses, world, some), strict=True):
        best = max(best, ((1 if one.more_in == "intervention" else -1) * weighted_phi(row, world.mark, weights), one.statement))
    return round(best[0], 3), best[1]


def _outcome(where: Workspace, world: World, judge: PoolJudge, seconds: float) -> Outcome:
    result = scored(world, discoveries_of(where, judge, world))
    missed = not result.recovered and bool(world.cell.effect)
    return Outcome(
        strategy=where.config.sampling.strategy,
        budget=where.config.sampling.max_texts,
        seed=world.seed,
        explored=where.explore_state().texts,
        confirmed=2 * len(where.confirmed_pairs()),
        seconds=round(seconds, 2),
        hypotheses=len(where.hypotheses),
        proposed=_best_proposal(where, judge, world) if missed else None,
        scored=result,
        peeked=dict(where.peeks),
        stopped=where.stopped_because,
    )


def as_row(cell: Cell, outcome: Outcome) -> dict[str, object]:
    """For a line of JSON."""
    row = {**asdict(cell), **asdict(outcome), "texts": outcome.texts}
    return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in row.items()}
