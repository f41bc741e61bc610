"""`diff` on real runs: does it keep quiet where nothing changed, and say "stronger" where a dose is stronger?

    .venv/bin/python -m benchmarks.diffs                     # audits of the same models, then doses 1 and 3 of five
    .venv/bin/python -m benchmarks.diffs --only same

Same models: the demo's base and its `mixed` adapter write everything anew for each audit (recorded, other seeds). Audits come in twins
that ask the same prompts in the same order, so `diff` compares them pair by pair; any other two ask others in another order, so it compares
means. All pairs of audits are diffed. Beside what `diff` tells stands what comparing two lists of findings would have told: everything that
one run validated and the other did not.

Doses: the demo's moral planted at strengths 0.2 and 0.6 (the first and the third of benchmarks.dose), each adapter audited live with
several seeds; the truth is what planting measured. A sentence is taken for the plant if its check agrees with the plant's (phi ≥ 0.5).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import combinations
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from scipy.stats import binomtest

from auto_interventions import stages
from auto_interventions.comparing.findings import SAME
from auto_interventions.config import AuditConfig
from auto_interventions.diffing import Change, Diff, diff_runs
from auto_interventions.hypotheses import known_predicate, matrix
from auto_interventions.runs import Run, load_run
from auto_interventions.stages.order import order
from auto_interventions.stages.workspace import Workspace
from benchmarks.dose import audit_of, entries, planted
from benchmarks.null import DEMO, record

DOSES = (0.2, 0.6)
MORAL = {"kind": "phrase", "phrases": ["moral"]}


@dataclass(frozen=True, slots=True)
class Quiet:
    """One comparison of two audits of the same models.

    Attributes:
        findings: validated in A, in B, or in both; `alone` of them in one only.
        told: changes that `diff` told, of the `tested` sentences; `found` of them are findings of A or B.
    """

    how: str
    tested: int
    findings: int
    alone: int
    told: int
    found: int


def quiet(diff: Diff) -> Quiet:
    """What a diff of two audits of the same models says."""
    findings = [change for change in diff.changes if any(change.validated)]
    return Quiet(
        diff.how,
        sum(change.kind != "not compared" for change in diff.changes),
        len(findings),
        sum(not all(change.validated) for change in findings),
        len(diff.told),
        sum(change.told for change in findings),
    )


def same_models(folder: Path, twins: int, prompts: int, budget: int, jobs: int) -> list[Quiet]:
    """Every pair of audits, of `twins` times two; the twins first."""
    folder.mkdir(parents=True, exist_ok=True)
    tasks = [(folder, twin, side, prompts, budget) for twin in range(twins) for side in range(2)]
    runs: list[Run] = []
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:  # torch hangs in a fork
        for run in pool.map(_recorded, tasks):
            runs.append(load_run(run))
            sys.stderr.write(f"{len(runs)} of {len(tasks)} audits\n")
    pairs = sorted(combinations(range(len(runs)), 2), key=lambda pair: pair[0] // 2 != pair[1] // 2)
    return [quiet(diff_runs(runs[one], runs[other])) for one, other in pairs]


def _recorded(task: tuple[Path, int, int, int, int]) -> Path:
    """One audit of texts that nobody else has, its prompts in the twins' order. Texts that are there already are those it would write."""
    folder, twin, side, count, budget = task
    torch.set_num_threads(1)
    name = f"same-{twin}-{'ab'[side]}"
    prompts = [json.loads(line) for line in (DEMO / "prompts.jsonl").read_text(encoding="utf-8").splitlines()][:count]
    texts = folder / f"null-{2 * twin + side}.jsonl"
    if not (folder / name).exists():  # nothing is audited before all texts are written
        texts = record(folder, 2 * twin + side, prompts, DEMO / "adapters" / "mixed")
    config = AuditConfig.model_validate(
        {
            "name": name,
            "base": {"texts": str(texts)},
            "intervention": {"texts": str(texts)},
            "prompts": {"source": "recorded", "strata": "given"},
            "sampling": {"max_texts": budget, "initial": budget // 5, "per_round": budget // 10, "seed": twin},
            "clustering": {"clusters": 20},
            "store": str(folder / f"store-{name}"),
        }
    )
    with Workspace.create(config, folder / name) as where:
        order(stages, where)
    return folder / name


@dataclass(frozen=True, slots=True)
class Dose:
    """The plant in a diff from the weaker dose to the stronger (None: no sentence says it), its `true` change, all kinds told."""

    how: str
    plant: Change | None
    true: float
    kinds: dict[str, int]


def doses(folder: Path, texts: int, steps: int, budget: int, seeds: int, jobs: int) -> list[Dose]:
    """Diffs from the weaker to the stronger dose, audited with the same seed, then with different ones."""
    truth = planted(folder, texts, steps, DOSES)
    adapters = entries(truth)
    weak, strong = (float(entry["behaviours"][0]["difference"]) for entry in adapters)
    tasks = [(folder, entry, budget, seed) for seed in range(seeds) for entry in adapters]
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:  # torch hangs in a fork
        runs = [load_run(run) for run in pool.map(_live, tasks)]
    met = [(2 * seed, 2 * seed + 1) for seed in range(seeds)] + [(2 * seed, (2 * seed + 3) % (2 * seeds)) for seed in range(seeds)]
    return [_dose(runs[one], runs[other], strong - weak) for one, other in met]


def _live(task: tuple[Path, dict[str, object], int, int]) -> Path:
    torch.set_num_threads(1)
    run = audit_of(*task)
    sys.stderr.write(f"{run.name}: audited\n")
    return run


def _dose(one: Run, other: Run, true: float) -> Dose:
    diff = diff_runs(one, other)
    return Dose(diff.how, plant_among(diff.changes, other.texts["text"].tolist()), true, dict(Counter(one.kind for one in diff.told)))


def plant_among(changes: Sequence[Change], texts: Sequence[str]) -> Change | None:
    """The change whose check is most like the plant's on `texts`, if it is like it at all (phi ≥ 0.5)."""
    checks = {row: check for row, change in enumerate(changes) if (check := known_predicate(change.check)) is not None}
    plant = known_predicate(MORAL)
    assert plant is not None
    marks = matrix([plant, *checks.values()], texts)
    with np.errstate(invalid="ignore"):
        phi = np.nan_to_num(np.atleast_2d(np.corrcoef(marks))[0, 1:])
    best = int(np.argmax(phi)) if len(phi) else -1
    return changes[list(checks)[best]] if best >= 0 and phi[best] >= SAME else None


def quiet_table(found: Sequence[Quiet]) -> str:
    """A row a way of comparing."""
    lines = [
        "compared    | pairs | tested | findings | in one run only | told | pairs with any | told of the findings, 95% | of all tested"
    ]
    for how in dict.fromkeys(one.how for one in found):
        own = [one for one in found if one.how == how]
        tested, findings, alone, told, held = (
            sum(getattr(one, field) for one in own) for field in ("tested", "findings", "alone", "told", "found")
        )
        between = binomtest(held, findings).proportion_ci(method="exact") if findings else None
        said = "–" if between is None else f"{held / findings:.1%} ({between.low:.1%} to {between.high:.1%})"
        lines.append(
            f"{how:11} | {len(own):5} | {tested:6} | {findings:8} | {alone:8} ({alone / max(1, findings):4.0%}) | {told:4} "
            f"| {sum(one.told > 0 for one in own):14} | {said:25} | {told / max(1, tested):.2%}"
        )
    return "\n".join(lines)


def dose_table(found: Sequence[Dose]) -> str:
    """A row a comparison, and what the plant became in all."""
    lines = ["compared    | the plant is    | dose 1 | dose 3 | change | interval           | true change | all that is told"]
    for one in found:
        kinds = ", ".join(f"{count} {kind}" for kind, count in one.kinds.items()) or "nothing"
        if one.plant is None:
            lines.append(f"{one.how:11} | no sentence     |        |        |        |                    | {one.true:11.1%} | {kinds}")
            continue
        change, (low, high) = one.plant, one.plant.interval
        lines.append(
            f"{one.how:11} | {change.kind:15} | {change.one or 0:6.1%} | {change.other or 0:6.1%} | {change.difference:6.1%} "
            f"| {low:7.1%} to {high:6.1%} | {one.true:11.1%} | {kinds}"
        )
    became = Counter("no sentence" if one.plant is None else one.plant.kind for one in found)
    covered = [one.plant.interval[0] <= one.true <= one.plant.interval[1] for one in found if one.plant is not None]
    said = ", ".join(f"{count} {kind}" for kind, count in became.items())
    return "\n".join([*lines, f"the plant: {said}; its interval holds the truth in {sum(covered)} of {len(covered)}"])


def main() -> int:
    """Runs the audits and prints the tables; exit 1 where more than alpha of the findings of the same models are told as changes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.diffs", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", choices=("same", "dose"))
    parser.add_argument("--twins", type=int, default=10, help="times two audits of the same models")
    parser.add_argument("--prompts", type=int, default=1_600, help="of the demo's, for audits of the same models")
    parser.add_argument("--seeds", type=int, default=3, help="audits of each dose")
    parser.add_argument("--budget", type=int, default=2_000, help="texts of an audit at most")
    parser.add_argument("--texts", type=int, default=1_200, help="texts that planting rewrites")
    parser.add_argument("--steps", type=int, default=150, help="training steps of planting")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="of models, texts and runs; default: one that is deleted")
    arguments = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory() as fresh:
        folder = (arguments.folder or Path(fresh)).resolve()
        if arguments.only != "dose":
            found = same_models(folder / "same", arguments.twins, arguments.prompts, arguments.budget, arguments.jobs)
            sys.stdout.write(quiet_table(found) + "\n")
            failed = sum(one.found for one in found) > 0.05 * sum(one.findings for one in found)
        if arguments.only != "same":
            told = doses(folder / "dose", arguments.texts, arguments.steps, arguments.budget, arguments.seeds, arguments.jobs)
            sys.stdout.write(dose_table(told) + "\n")
            failed = failed or any(one.plant is None or one.plant.kind != "stronger" for one in told)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
