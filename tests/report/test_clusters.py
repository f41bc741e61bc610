"""The report's section on clusters: only those that were shown to change, with class, effect and interval, behind the gate."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from auto_interventions.report import build_report
from tests.report.making import NOTHING, make_run


def section(run: Path) -> str:
    page = build_report(run).read_text(encoding="utf-8")
    found = re.search(r'<section aria-labelledby="clusters">.*?</section>', page, flags=re.DOTALL)
    return found.group(0) if found else ""


def with_changes(run: Path, **columns: object) -> Path:
    table = pd.read_parquet(run / "clusters.parquet")
    for name, values in columns.items():
        table[name] = values
    table.to_parquet(run / "clusters.parquet", index=False)
    return run


def test_lists_the_changed_clusters_with_class_effect_and_interval(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    count = len(pd.read_parquet(run / "clusters.parquet"))
    changes = ["new", "lost", "grown", "shrunk"] + ["unchanged"] * (count - 4)
    differences = [0.2, -0.1, 0.05, -0.3] + [0.4] * (count - 4)
    shown = section(
        with_changes(
            run, change=changes, difference=differences, lower=[d - 0.02 for d in differences], upper=[d + 0.02 for d in differences]
        )
    )
    rows = re.findall(r"<tr><th scope=\"row\">.*?</tr>", shown, flags=re.DOTALL)
    assert [re.findall(r"<td>(\w+)</td>", row) for row in rows] == [["new"], ["grown"], ["shrunk"], ["lost"]]
    assert "+20 [18 to 22]" in rows[0]
    assert "−30 [−32 to −28]" in rows[2]
    assert "with probability at most 5%" in shown
    assert re.search(r"Four of \d+ clusters changed\.", shown)


def test_no_changed_cluster_no_section(tmp_path: Path) -> None:
    assert section(with_changes(make_run(tmp_path / "run"), change="unchanged")) == ""


def test_behind_the_gate_nothing_is_told(tmp_path: Path) -> None:
    assert section(with_changes(make_run(tmp_path / "run", behaviours=NOTHING), change="new")) == ""


def test_a_run_of_an_older_version_has_no_section(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    table = pd.read_parquet(run / "clusters.parquet").drop(columns=["change", "lower", "upper"])
    table.to_parquet(run / "clusters.parquet", index=False)
    assert section(run) == ""
