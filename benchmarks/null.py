"""How often does an audit of a model against itself say anything?

Each audit compares two independent sets of recorded texts of one model (the demo's base, other seeds), peeking after every
round, at alpha 0.05. Prints the share of audits that validated anything, that flagged any stratum, and that called the models
different, with 95% Clopper-Pearson intervals.

    .venv/bin/python benchmarks/null.py --audits 100
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from scipy.stats import binomtest

from auto_interventions import stages
from auto_interventions.config import AuditConfig, SamplingConfig, SubjectConfig
from auto_interventions.records import ROLES, Prompt
from auto_interventions.runs import load_run
from auto_interventions.stages.order import order
from auto_interventions.stages.workspace import Workspace
from auto_interventions.subjects import Request, open_subject

DEMO = Path(__file__).resolve().parent.parent / "demo"


def record(folder: Path, seed: int, prompts: list[dict[str, str]], adapter: Path | None = None) -> Path:
    """One text of each side for each prompt, sampled with `seed`, as a recorded file. `adapter`: on the intervention's model."""
    sampling = SamplingConfig(seed=seed, max_new_tokens=64)
    requests = [Request(Prompt(row["prompt"], row["stratum"]), 0, 1) for row in prompts]
    path = folder / f"null-{seed}.jsonl"
    with path.open("w", encoding="utf-8") as stream:
        for role in ROLES:
            changed = str(adapter) if adapter is not None and role == "intervention" else None
            subject = open_subject(SubjectConfig(model=str(DEMO / "models" / "base"), adapter=changed), role, sampling, None)
            for text in subject.generate(requests):
                row = {"model": role, "prompt": text.prompt.text, "text": text.text, "stratum": text.prompt.stratum}
                stream.write(json.dumps(row, ensure_ascii=False) + "\n")
    return path


def audit(path: Path, folder: Path, seed: int) -> dict[str, bool]:
    """One null audit on recorded texts, small rounds so that it peeks often."""
    config = AuditConfig.model_validate(
        {
            "name": f"null-{seed}",
            "base": {"texts": str(path)},
            "intervention": {"texts": str(path)},
            "prompts": {"source": "recorded", "strata": "given"},
            "sampling": {"max_texts": 800, "initial": 120, "per_round": 70, "rounds": 6, "seed": seed},
            "clustering": {"clusters": 12},
            "store": str(folder / "store"),
        }
    )
    with Workspace.create(config, folder / f"run-{seed}") as workspace:
        order(stages, workspace)
        peeked = workspace.peeks
    run = load_run(folder / f"run-{seed}")
    return {
        "validated anything": any(finding["status"] == "validated" for finding in run.findings["findings"]),
        "validated anything at any peek": peeked["validated"],
        "flagged a stratum at any peek": peeked["divergent"],
        "called the models different": run.findings["overall"]["verdict"] == "different",
        "would have called them so at any peek": peeked["different"],
    }


def main() -> int:
    """Runs the audits and prints the table; exit 1 when an error rate is significantly above alpha."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--audits", type=int, default=100)
    parser.add_argument("--first-seed", type=int, default=1000)
    parser.add_argument("--prompts", type=int, default=400)
    arguments = parser.parse_args()
    prompts = [json.loads(line) for line in (DEMO / "prompts.jsonl").read_text(encoding="utf-8").splitlines()][: arguments.prompts]
    results: list[dict[str, bool]] = []
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for seed in range(arguments.first_seed, arguments.first_seed + arguments.audits):
            results.append(audit(record(folder, seed, prompts), folder, seed))
            sys.stderr.write(f"\r{len(results)} of {arguments.audits} audits, {time.monotonic() - started:.0f} s")
    sys.stderr.write("\n")
    worst = 1.0
    for what in results[0]:
        count = sum(result[what] for result in results)
        interval = binomtest(count, len(results)).proportion_ci(method="exact")
        sys.stdout.write(f"{what:34} {count:3} of {len(results)}   95% interval {interval.low:.3f} to {interval.high:.3f}\n")
        worst = min(worst, float(binomtest(count, len(results), 0.05, alternative="greater").pvalue))
    return int(worst < 0.01)


if __name__ == "__main__":
    sys.exit(main())
