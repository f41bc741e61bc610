"""A loaded run answers questions, with what findings.json and the tables say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

import auto_interventions
from auto_interventions.errors import RunDirectoryError
from auto_interventions.exports import AuditRun
from auto_interventions.exports.shown import shown, sized_pairs
from tests.report.making import NOTHING, make_run

if TYPE_CHECKING:
    from tests.stages.spoken import World


def test_loading_gives_what_the_files_say(made: AuditRun) -> None:
    run = auto_interventions.load(str(made.path))
    content = json.loads((made.path / "findings.json").read_text())
    assert len(run.findings) == len(content["findings"])
    assert (run.name, run.status, run.models) == ("moral-stories", "done", ("story-teller", "story-teller + moral"))
    assert run.alpha == content["alpha"]
    by_id = {one["id"]: one for one in content["findings"]}
    for row in run.findings.to_dict("records"):
        told = by_id[row["id"]]
        assert (row["lower"], row["upper"]) == tuple(told["interval"])
        assert {key: row[key] for key in ("base_rate", "intervention_rate", "difference", "status")} == {
            key: told[key] for key in ("base_rate", "intervention_rate", "difference", "status")
        }
    assert set(run.validated["status"]) == {"validated"}
    assert run.validated["difference"].abs().is_monotonic_decreasing
    assert run.findings["p_value"].dtype == np.float64
    assert len(run.texts) == len(pd.read_parquet(made.path / "texts.parquet"))
    assert len(run.by_stratum) == sum(len(one["strata"]) for one in content["findings"])
    assert run.ledger["stage"].tolist()[-1] == "all"


def test_pairs_are_the_texts_side_by_side(made: AuditRun) -> None:
    pairs = made.pairs()
    texts = made.texts.set_index(["model", "prompt_id", "sample"])["text"]
    assert len(pairs) * 2 == len(made.texts)
    for row in pairs.sample(20, random_state=1).to_dict("records"):
        for role in ("base", "intervention"):
            assert row[role] == texts[(role, row["prompt_id"], row["sample"])]


def test_pairs_of_a_finding_begin_with_those_that_show_it(made: AuditRun) -> None:
    finding = made.finding("mentions “dragon”")
    pairs = made.pairs(finding["id"])
    assert finding["more_in"] == "base"
    assert pairs["base"].str.contains("dragon").eq(pairs["base_shows"] == 1).all()
    payoff = pairs["base_shows"] - pairs["intervention_shows"]
    assert payoff.iloc[0] == 1
    assert payoff.is_monotonic_decreasing
    # The rate that findings.json gives is that of the pairs that sizes go by.
    scores = shown(made.run, sized_pairs(made.run), [finding])[0]
    assert scores.mean(axis=0) == pytest.approx([finding["base_rate"], finding["intervention_rate"]])


def test_a_finding_is_found_by_its_words(made: AuditRun) -> None:
    first = made.validated.iloc[0]
    assert made.finding(first["id"])["id"] == made.finding(first["finding"])["id"] == made.finding(first["statement"])["id"] == first["id"]
    assert made.finding("lighthouse")["statement"].startswith("mentions “lighthouse”")
    assert "lighthouse" in made.sentence("lighthouse")
    with pytest.raises(RunDirectoryError, match="no finding is called `unicorn`"):
        made.finding("unicorn")
    with pytest.raises(RunDirectoryError, match="name one by its id"):
        made.finding("mentions")


def test_judged_sentences_are_read_from_the_verdicts(spoken: World) -> None:
    run = auto_interventions.load(spoken.run)
    judged = run.run.verdicts
    finding = next(one for one in run.run.findings["findings"] if one["check"] is None and (judged["hypothesis"] == one["id"]).any())
    own = judged[judged["hypothesis"] == finding["id"]].set_index(["prompt_id", "sample"])
    pairs = run.pairs(finding["id"]).dropna(subset=["base_shows"])
    assert len(pairs) >= 20
    for row in pairs.to_dict("records"):
        cells = own.loc[(row["prompt_id"], row["sample"])]
        for role in ("base", "intervention"):
            strong, cheap = cells[f"strong_{role}"], cells[f"cheap_{role}"]
            assert row[f"{role}_shows"] == pytest.approx(cheap if np.isnan(strong) else strong)


def test_a_run_that_has_not_concluded_says_so(tmp_path: Path) -> None:
    run = AuditRun.at(make_run(tmp_path / "run", concluded=False, status="running"))
    assert run.verdict.kind == "unfinished"
    assert run.findings.empty
    assert len(run.pairs()) > 0
    for to in ("parquet", "jsonl", "csv", "markdown", "latex", "hf", "inspect", "llm-comparator"):
        with pytest.raises(RunDirectoryError, match="has not concluded"):
            run.export(to, tmp_path / to)
        assert not (tmp_path / to).exists()


def test_nothing_found_is_told_everywhere(tmp_path: Path) -> None:
    run = AuditRun.at(make_run(tmp_path / "run", behaviours=NOTHING))
    assert run.validated.empty
    for told in (run.to_markdown(), run.to_latex(), run._repr_html_(), repr(run), str(run.verdict)):
        assert "No difference found" in told


def test_importing_it_imports_nothing() -> None:
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, auto_interventions as a; before = set(sys.modules)\n"
            "assert callable(a.load) and callable(a.audit)\n"
            "print(sorted(m for m in before if m.split('.')[0] in ('pandas', 'numpy', 'pydantic', 'torch', 'prefect')))",
        ],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert told.stdout.strip() == "[]"


def test_loading_and_exporting_import_no_engine(made: AuditRun, out: Path) -> None:
    program = (
        "import sys, auto_interventions as a\n"
        f"run = a.load({str(made.path)!r}); run.validated; run.pairs('lighthouse'); run.export('markdown', {str(out)!r})\n"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'torch', 'prefect', 'dask', 'distributed', 'transformers', 'sklearn'}))"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert told.stdout.strip() == "[]"
