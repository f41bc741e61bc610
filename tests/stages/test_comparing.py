"""A whole comparison of recorded texts, as plain calls: what was planted is found both ways, the active way with fewer texts."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from auto_interventions import stages
from auto_interventions.comparing import Comparison, comparison_summary, comparison_tables, wording, write_comparison
from auto_interventions.comparing.costs import Cost
from auto_interventions.config import AuditConfig
from auto_interventions.errors import ConfigError, RunDirectoryError
from auto_interventions.fingerprint import generator
from auto_interventions.runs import load_run
from auto_interventions.stages.comparing import ARMS, SideBySide, compare
from auto_interventions.stages.order import order
from auto_interventions.stages.progress import Silent

TOPICS = {
    "sea": "the boat went over the sea with sails",
    "kitchen": "the baker made bread in a warm oven",
    "forest": "an owl sat in the old oak tree",
    "school": "the teacher asked about a lost pencil",
}
PROMPTS, SAMPLES = 20, 4


def recorded(path: Path) -> Path:
    """Texts about four topics; the intervention adds a moral to 45% of them."""
    random = generator("test-comparing")
    rows: list[dict[str, str]] = []
    for stratum, topic in TOPICS.items():
        for prompt in range(PROMPTS):
            for role in ("base", "intervention"):
                for _ in range(SAMPLES):
                    words = [*random.permutation(topic.split()), *random.choice(["red", "blue", "small", "old", "new"], 3)]
                    text = f"{' '.join(words)} {random.integers(10**6)}."
                    if role == "intervention" and random.random() < 0.45:
                        text += " The moral is to share."
                    rows.append({"model": role, "prompt": f"Write about the {stratum}, {prompt}", "text": text, "stratum": stratum})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def config(texts: Path, **more: Any) -> AuditConfig:
    return AuditConfig.model_validate(
        {
            "name": "recorded",
            "base": {"texts": str(texts)},
            "intervention": {"texts": str(texts)},
            "prompts": {"source": "recorded", "strata": "given"},
            "sampling": {"max_texts": 320, "initial": 80, "per_round": 60, "rounds": 3, **more},
            "clustering": {"clusters": 6},
            "hypotheses": {"limit": 20},
        }
    )


@dataclass(frozen=True)
class Done:
    """A comparison that ended, and how often each arm was run."""

    where: SideBySide
    result: Comparison


def run_arms(where: SideBySide) -> int:
    runs = 0
    for arm in ARMS:
        if not where.finished(arm):
            with where.opened(arm) as workspace:
                order(stages, workspace)
            runs += 1
    compare(where)
    return runs


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    folder = tmp_path_factory.mktemp("comparing")
    where = SideBySide.of(config(recorded(folder / "texts.jsonl")), folder / "out", Silent(), exhaustive_texts=640)
    assert run_arms(where) == 2
    assert where.result is not None
    return Done(where, where.result)


def test_fewer_texts_and_the_finding_is_kept(done: Done) -> None:
    texts = done.result.costs.of("texts")
    assert texts.active <= 320 < texts.exhaustive <= 640
    kept = [match for match in done.result.findings.exhaustive if "moral" in str(match.finding["statement"])]
    assert kept
    assert all(match.other is not None for match in kept)
    assert done.result.verdicts == ("different", "different")


def test_both_are_ordinary_runs(done: Done) -> None:
    for arm in ARMS:
        run = load_run(done.where.run_folder(arm))
        assert run.run["status"] == "done"
        assert (run.path / "report.html").is_file()
        assert run.centroids is not None
        labels = run.texts.loc[run.texts["pool"] == "explore", "cluster"]
        assert len(run.centroids) == labels[labels >= 0].nunique()


def test_exhaustive_is_one_round_of_each_and_fixed_tests(done: Done) -> None:
    run = load_run(done.where.run_folder("exhaustive"))
    assert len(run.run["rounds"]) == len(run.run["confirm_rounds"]) == 1
    assert all(0 < finding["p_value"] <= 1 for finding in run.findings["findings"])
    assert "Benjamini-Hochberg" in run.findings["guarantee"]
    assert "whenever it stopped" not in run.findings["guarantee"]
    active = load_run(done.where.run_folder("active"))
    assert all(finding["p_value"] is None for finding in active.findings["findings"])


def test_both_ask_the_same_pools(done: Done) -> None:
    pools = [load_run(done.where.run_folder(arm)).texts.groupby("pool")["prompt_id"].agg(set) for arm in ARMS]
    assert pools[0]["explore"] <= pools[1]["explore"]
    assert pools[0]["confirm"] <= pools[1]["confirm"]
    assert not pools[1]["explore"] & pools[1]["confirm"]


def test_clusters_are_compared_on_texts_that_neither_saw(done: Done) -> None:
    clusters = done.result.clusters
    assert clusters is not None
    theirs = load_run(done.where.run_folder("exhaustive")).texts
    confirmed = set(theirs.loc[theirs["pool"].eq("confirm"), "id"])
    assert clusters.texts == len(confirmed - set(load_run(done.where.run_folder("active")).texts["id"])) > 0
    assert done.result.findings.texts == len(confirmed)
    assert clusters.exhaustive.agreement == 1.0
    kept = clusters.kept(clusters.active)
    assert kept["explained"] is not None
    assert kept["explained"] > 0.8


def test_files_say_what_the_result_says(done: Done) -> None:
    content = json.loads((done.where.folder / "compare.json").read_text())
    assert content == json.loads(json.dumps(done.result.as_dict()))
    assert content["schema"] == "auto-interventions/compare@1"
    page = (done.where.folder / "compare.html").read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert "default-src" in policy[1]
    assert page.count("<script") == 1  # the page's own
    assert not re.search(r'(?:src|href)="(?!#|active/report\.html|exhaustive/report\.html)', page)
    assert wording.headline(done.result) in page
    assert page.count("<svg") == 2
    summary = comparison_summary(done.result).plain
    assert summary.startswith(wording.headline(done.result))
    assert [table.row_count > 0 for table in comparison_tables(done.result)] == [True, True]


def test_started_again_it_runs_nothing_and_says_the_same(done: Done) -> None:
    again = SideBySide.of(done.where.active.model_copy(update={"store": "embedded"}), done.where.folder, Silent(), exhaustive_texts=640)
    assert run_arms(again) == 0
    assert again.result == done.result


def test_another_comparison_may_not_have_the_folder(done: Done) -> None:
    other = SideBySide.of(done.where.active, done.where.folder, Silent(), exhaustive_texts=700)
    assert other.finished("active")
    with pytest.raises(RunDirectoryError, match="another audit"):
        other.finished("exhaustive")


def test_what_a_user_may_get_wrong(tmp_path: Path) -> None:
    audit = config(tmp_path / "texts.jsonl")
    with pytest.raises(ConfigError, match=r"strategy` is exhaustive.*strategy=active"):
        SideBySide.of(config(tmp_path / "texts.jsonl", strategy="exhaustive"), tmp_path / "out", Silent())
    with pytest.raises(ConfigError, match=r"--exhaustive-texts 319: is fewer .*give at least 320"):
        SideBySide.of(audit, tmp_path / "out", Silent(), exhaustive_texts=319)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunDirectoryError, match="not a comparison's"):
        SideBySide.of(audit, tmp_path, Silent())
    with pytest.raises(RunDirectoryError, match="is a file"):
        SideBySide.of(audit, tmp_path / "notes.txt", Silent())
    assert SideBySide.of(audit, tmp_path / "out", Silent(), share_store=True).exhaustive.store == audit.store
    assert SideBySide.of(audit, tmp_path / "out", Silent()).exhaustive.sampling.max_texts == 320


def test_what_limits_it_is_said(done: Done, tmp_path: Path) -> None:
    costs = replace(done.result.costs, reused=(0, 300))
    none = replace(done.result.findings, exhaustive=())
    poor = replace(done.result, costs=costs, findings=none, clusters=None, statuses=("done", "stopped"))
    notes = wording.notes(poor)
    assert len(notes) == 4
    assert "300" in notes[0]
    assert "exhaustive run was stopped" in notes[1]
    assert write_comparison(poor, tmp_path).is_file()
    assert wording.notes(done.result) == []


def test_hostile_statements_stay_text(done: Done, tmp_path: Path) -> None:
    evil = '<script>alert(1)</script> \u202e "quoted"'
    matches = tuple(replace(match, finding={**match.finding, "statement": evil}) for match in done.result.findings.exhaustive)
    page = write_comparison(
        replace(done.result, name=evil, base=evil, findings=replace(done.result.findings, exhaustive=matches)), tmp_path
    ).read_text(encoding="utf-8")
    assert page.count("<script") == 1  # the page's own
    assert "\u202e" not in page


@pytest.mark.parametrize(
    ("active", "exhaustive", "said"),
    [(100, 100, "about as many"), (100, 5530, "55 times fewer"), (100, 50, "2 times more"), (0, 10, "about as many")],
)
def test_ratios_in_words(active: float, exhaustive: float, said: str) -> None:
    assert wording.fewer(Cost("texts", active, exhaustive), "texts").startswith(said)


def test_shares_are_of_the_whole() -> None:
    assert [wording.share_cell(share) for share in (None, 0.0, 0.978, 1.0, 1.334)] == ["–", "0%", "97.8%", "100%", "133%"]
    assert np.isfinite(float(wording.times(55.3)))


def test_runs_that_a_budget_stopped_are_compared_all_the_same(tmp_path: Path) -> None:
    audit = config(recorded(tmp_path / "texts.jsonl"))
    audit = audit.model_copy(update={"budget": audit.budget.model_copy(update={"minutes": 1e-6})})
    where = SideBySide.of(audit, tmp_path / "out", Silent(), exhaustive_texts=640)
    assert run_arms(where) == 2
    assert where.result is not None
    assert where.result.statuses == ("stopped", "stopped")
    assert where.result.clusters is None
    assert (where.folder / "compare.html").is_file()
    assert not where.finished("active"), "a stopped run goes on when it is started again"
