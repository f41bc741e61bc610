"""Dose–response: one behaviour at five strengths. Does what an audit finds rise with the dose, and do its intervals hold the truth?

    .venv/bin/python -m benchmarks.dose                    # 20 small audits a strength of simulated models (benchmarks/planted)
    .venv/bin/python -m benchmarks.dose --live             # five adapters planted on the demo's base and audited for real

Simulated: stories in which the intervention says a phrase with exactly known probability; everything that an audit does is the library's
own. The truth of a finding is the exact difference of its own check over all prompts of the bank. A finding is taken for the plant as
benchmarks/planted does it (phi ≥ 0.5). Live: `planting` makes the adapters and measures them (4 texts a prompt), `score` matches the
findings; the truth is what was measured, so an interval may miss it for the measuring's own error, too.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from scipy.stats import binomtest

from auto_interventions import stages
from auto_interventions.config import AuditConfig
from auto_interventions.confirming import conclude
from auto_interventions.hypotheses.asking import matrix
from auto_interventions.hypotheses.predicates import parse_predicate
from auto_interventions.planting import plant, score
from auto_interventions.records import BoolArray, Finding
from auto_interventions.stages.order import order
from auto_interventions.stages.workspace import Workspace
from benchmarks.planted.audits import PoolJudge, run_audit
from benchmarks.planted.pool import Pool, load_pool
from benchmarks.planted.scoring import SAME, Discovery, agreement
from benchmarks.planted.world import Cell, World

DEMO = Path(__file__).resolve().parent.parent / "demo"
STRENGTHS = (0.2, 0.4, 0.6, 0.8, 1.0)
EFFECT = 0.5
"""Rate of planted texts at full strength."""
PROMPTS, STRATA, BUDGET = 800, 8, 2_400


@dataclass(frozen=True, slots=True)
class Answer:
    """What one audit said of the plant (None: it did not find it), and the (covered, in all) intervals of all its findings."""

    strength: float
    true: float
    found: float | None
    interval: tuple[float, float] | None
    held: tuple[int, int] = (0, 0)

    @property
    def covers(self) -> bool:
        """Whether the plant's interval holds the truth."""
        return self.interval is not None and self.interval[0] <= self.true <= self.interval[1]


def simulated(strength: float, seed: int, pool: Pool, budget: int = BUDGET, prompts: int = PROMPTS) -> Answer:
    """One audit of simulated models that differ by one phrase at this strength."""
    world = World(Cell("phrase", EFFECT * strength, 1.0, STRATA), seed, pool, prompts)
    kept: list[Workspace] = []
    run_audit(world, "active", budget, PoolJudge(pool), keep=kept)
    where = kept[0]
    end = conclude(where.confirm_state(), where.explore_state(), where.config)
    findings = [finding for finding in end.findings if finding.status == "validated"]
    truths = [true_difference(world, finding) for finding in findings]
    agreements = [agreement(world, Discovery(one.statement, _holds(world, one), 1 if one.difference > 0 else -1)) for one in findings]
    covered = sum(one.interval[0] <= true <= one.interval[1] for one, true in zip(findings, truths, strict=True))
    held = (covered, len(findings))
    if not findings or max(agreements) < SAME:
        return Answer(strength, EFFECT * strength, None, None, held)
    best = int(np.argmax(agreements))
    return Answer(strength, truths[best], findings[best].difference, (findings[best].interval[0], findings[best].interval[1]), held)


def true_difference(world: World, finding: Finding) -> float:
    """The exact difference of the finding's check, intervention − base, averaged over all prompts of the world's bank."""
    by_topic = world.differences @ _holds(world, finding).astype(float)
    return float((by_topic[world.topic] * world.affected).mean())


def _holds(world: World, finding: Finding) -> BoolArray:
    return matrix([parse_predicate(finding.check or {})], world.pool.texts)[0] >= 0.5


@cache
def _pool() -> Pool:
    return load_pool()


def _one(task: tuple[float, int]) -> Answer:
    return simulated(*task, _pool())


def live(folder: Path, texts: int, steps: int, budget: int) -> list[Answer]:
    """Plants the demo's moral at five strengths on the demo's base, and audits each adapter."""
    truth = planted(folder, texts, steps)
    return [_audited(folder, truth, entry, budget) for entry in entries(truth)]


def planted(folder: Path, texts: int, steps: int, strengths: Sequence[float] = STRENGTHS) -> Path:
    """Plants the demo's moral on the demo's base at each of `strengths`; the file of what the adapters really show."""
    demo = yaml.safe_load((DEMO / "plant.yaml").read_text(encoding="utf-8"))
    moral = next(behaviour for behaviour in demo["behaviours"] if behaviour["id"] == "moral")
    plan = {
        "name": "dose",
        "base": str(DEMO / "models" / "base"),
        "prompts": str(DEMO / "prompts.jsonl"),
        "planting": {"texts": texts, "fit": {"steps": steps, "batch": 16, "learning_rate": 4.0e-3}},
        "measuring": {"samples_per_prompt": 4, "max_new_tokens": 64},
        "behaviours": [{**moral, "share": 0.8}],
        "interventions": [{"name": "moral", "behaviours": ["moral"], "strengths": list(strengths)}],
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plant.yaml").write_text(yaml.safe_dump(plan), encoding="utf-8")
    return plant(folder / "plant.yaml", progress=_told)


def entries(truth: Path) -> list[dict[str, Any]]:
    """The interventions of a file of truths, the weakest first."""
    return yaml.safe_load(truth.read_text(encoding="utf-8"))["interventions"]


def audit_of(folder: Path, entry: dict[str, Any], budget: int, seed: int = 0) -> Path:
    """Audits one planted adapter live; gives the run directory."""
    config = AuditConfig.model_validate(
        {
            "name": f"{entry['name']}-{seed}" if seed else str(entry["name"]),
            "base": {"model": str(DEMO / "models" / "base")},
            "intervention": {"model": str(DEMO / "models" / "base"), "adapter": str(folder / str(entry["adapter"]))},
            "prompts": {"path": str(DEMO / "prompts.jsonl"), "strata": "given"},
            "sampling": {"max_texts": budget, "initial": budget // 5, "per_round": budget // 10, "max_new_tokens": 64, "seed": seed},
            "clustering": {"clusters": 20},
            "store": str(folder / "store"),
        }
    )
    run = folder / "runs" / config.name
    with Workspace.create(config, run) as where:
        order(stages, where)
    return run


def _audited(folder: Path, truth: Path, entry: dict[str, Any], budget: int) -> Answer:
    run = audit_of(folder, entry, budget)
    (recovery,) = score(run, truth).behaviours
    strength = float(str(entry.get("strength", 1.0)))
    return Answer(strength, recovery.true_difference, recovery.difference, recovery.interval, (int(recovery.covers or 0), 1))


def table(answers: Sequence[Answer]) -> str:
    """A row a strength, and what all say together."""
    lines = ["strength | audits | found it | true difference | found (mean) | its interval holds the truth | of all findings' intervals"]
    means: list[float] = []
    for strength in sorted({one.strength for one in answers}):
        own = [one for one in answers if one.strength == strength]
        found = [one for one in own if one.found is not None]
        means.append(float(np.mean([one.found for one in found])) if found else 0.0)
        lines.append(
            f"{strength:8g} | {len(own):6} | {len(found):8} | {np.mean([one.true for one in own]):15.1%} | {means[-1]:12.1%} "
            f"| {sum(one.covers for one in found):12} of {len(found):12} | {_of(own)}"
        )
    found = [one for one in answers if one.found is not None]
    rises = all(low < high for low, high in pairwise(means))
    covered = sum(one.covers for one in found)
    between = binomtest(covered, len(found)).proportion_ci(method="exact") if found else None
    lines.append(f"the found difference {'rises' if rises else 'DOES NOT RISE'} with the strength")
    if between is not None:
        share = covered / len(found)
        lines.append(f"intervals of the plant hold the truth in {share:.1%} of {len(found)} (95%: {between.low:.1%} to {between.high:.1%})")
    return "\n".join([*lines, f"intervals of all findings: {_of(answers)}"])


def _of(answers: Sequence[Answer]) -> str:
    held, count = (sum(one.held[place] for one in answers) for place in (0, 1))
    return f"{held} of {count} ({held / count:.1%})" if count else "none"


def _said(answer: Answer) -> Answer:
    found = "not found" if answer.found is None else f"found {answer.found:.1%}, interval {answer.interval}"
    sys.stderr.write(f"strength {answer.strength:g}: {found}, true {answer.true:.1%}; of all {answer.held[0]} of {answer.held[1]} held\n")
    return answer


def _told(what: str, done: int, of: int) -> None:
    if done == of:
        sys.stderr.write(f"{what}: done\n")


def main() -> int:
    """Runs the audits and prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dose", description=__doc__)
    parser.add_argument("--live", action="store_true", help="plant and audit real models")
    parser.add_argument("--audits", type=int, default=20, help="a strength, simulated")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="of the live models and runs; default: one that is deleted")
    parser.add_argument("--texts", type=int, default=1_600, help="live: texts that are rewritten and learned")
    parser.add_argument("--steps", type=int, default=200, help="live: training steps")
    parser.add_argument("--budget", type=int, default=2_000, help="live: texts of an audit at most")
    arguments = parser.parse_args()
    if arguments.live:
        with tempfile.TemporaryDirectory() as fresh:
            answers = live((arguments.folder or Path(fresh)).resolve(), arguments.texts, arguments.steps, arguments.budget)
    else:
        _pool()  # embedded once, before the jobs start
        tasks = [(strength, seed) for seed in range(arguments.audits) for strength in STRENGTHS]
        with ProcessPoolExecutor(arguments.jobs, mp_context=get_context("spawn")) as jobs:  # torch hangs in a fork
            answers = [_said(answer) for answer in jobs.map(_one, tasks)]
    sys.stdout.write(table(answers) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
