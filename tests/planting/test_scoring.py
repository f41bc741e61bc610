"""Scores of hand-made run directories whose answer is known."""

import json

import numpy as np
import pandas as pd
import pytest
import yaml

from auto_interventions.errors import ConfigError, RunDirectoryError
from auto_interventions.fingerprint import generator
from auto_interventions.planting import phi, score, score_table

MORAL = {"kind": "phrase", "phrases": ["moral"]}
SEA = {"kind": "phrase", "phrases": ["lighthouse"]}


def finding(identity, check, difference=0.4, status="validated", interval=None, statement=None):
    return {
        "id": identity,
        "statement": statement or identity,
        "status": status,
        "more_in": "intervention" if difference > 0 else "base",
        "difference": difference,
        "interval": interval or [difference - 0.1, difference + 0.1],
        "check": check,
    }


def texts(pairs=300):
    """The intervention adds “moral lesson” to 40% (some with a “virtue”) and “lighthouse” to 10%; “cat” is noise,
    “dog” differs for no planted reason."""
    rng = generator("score test")
    rows = []
    for number in range(pairs):
        for model in ("base", "intervention"):
            changed = model == "intervention"
            words = ["story"]
            words += ["moral lesson"] if rng.random() < (0.4 if changed else 0.01) else []
            words += ["virtue"] if "moral lesson" in words and rng.random() < 0.3 else []
            words += ["lighthouse"] if rng.random() < (0.1 if changed else 0.0) else []
            words += ["cat"] if rng.random() < 0.3 else []
            words += ["dog"] if rng.random() < (0.8 if changed else 0.2) else []
            rows.append({"model": model, "prompt_id": f"p{number}", "sample": 0, "text": " ".join(words)})
    return pd.DataFrame(rows)


@pytest.fixture
def made(tmp_path):
    """Writes a run directory and a truth file; returns a function of the findings."""

    def make(findings, adapter="adapters/mixed", behaviours=None, entry_adapter="adapters/mixed"):
        run = tmp_path / "run"
        run.mkdir(exist_ok=True)
        config = {"base": {"model": "m"}, "intervention": {"model": "m", "adapter": adapter and str(tmp_path / adapter)}}
        (run / "run.json").write_text(json.dumps({"schema": "auto-interventions/run@1", "config": config}))
        if findings is not None:
            (run / "findings.json").write_text(json.dumps({"schema": "auto-interventions/findings@1", "findings": findings}))
        texts().to_parquet(run / "texts.parquet")
        planted = [("moral", "broad", MORAL, 0.4), ("lighthouse", "narrow", SEA, 0.1)]
        entries = [
            {"id": name, "kind": kind, "description": name, "check": check, "base_rate": 0, "intervention_rate": rate, "difference": rate}
            for name, kind, check, rate in planted
        ]
        entry = {"name": "mixed", "adapter": entry_adapter, "behaviours": entries if behaviours is None else behaviours}
        truth = tmp_path / "truth.yaml"
        truth.write_text(yaml.safe_dump({"schema": "auto-interventions/truth@1", "interventions": [entry]}))
        return run, truth

    return make


def origins(result):
    return {discovery.finding: discovery.origin for discovery in result.validated}


def test_a_check_that_agrees_recovers_its_behaviour_and_the_best_one_is_named(made):
    found = [finding("lesson", {"kind": "phrase", "phrases": ["lesson"]}), finding("exact", MORAL, interval=[0.35, 0.45])]
    result = score(*made(found))
    moral, lighthouse = result.behaviours
    assert (moral.recovered, moral.covers, moral.interval, moral.agreement) == (True, True, (0.35, 0.45), 1.0)
    assert not lighthouse.recovered
    assert result.recall == 0.5
    assert result.false_discovery_rate == 0.0
    assert set(origins(result).values()) == {"planted: moral"}


def test_what_was_not_validated_recovers_nothing(made):
    result = score(*made([finding("moral", MORAL, status="not validated")]))
    assert (result.recall, result.validated, result.false_discovery_rate) == (0.0, (), 0.0)


def test_the_wrong_direction_recovers_nothing(made):
    result = score(*made([finding("moral", MORAL, difference=-0.4)]))
    assert result.recall == 0.0


def test_less_of_the_opposite_is_the_same_finding(made):
    plain = {"kind": "measure", "feature": "characters", "at_most": 11}  # “story cat dog” is longer, but so few that phi stays high
    result = score(*made([finding("short", plain, difference=-0.4)]))
    moral = result.behaviours[0]
    assert moral.recovered
    assert moral.covers
    assert origins(result) == {"short": "planted: moral"}


def test_an_interval_that_misses_the_truth_is_said_to(made):
    result = score(*made([finding("moral", MORAL, interval=[0.1, 0.2])]))
    assert result.behaviours[0].recovered
    assert result.behaviours[0].covers is False
    assert "does not cover" in score_table(result)


def test_a_difference_that_no_plant_explains_is_false_and_one_that_a_plant_explains_is_not(made):
    found = [
        finding("moral", MORAL),
        finding("dog", {"kind": "phrase", "phrases": ["dog"]}),
        finding("cat", {"kind": "phrase", "phrases": ["cat"]}),
    ]
    result = score(*made([*found, finding("virtue", {"kind": "phrase", "phrases": ["virtue"]})]))
    assert origins(result)["dog"] == "false"
    assert origins(result)["cat"] == "explained by a plant"
    assert origins(result)["virtue"] == "explained by a plant"
    assert result.false_discovery_rate == 0.25


def test_every_validated_finding_on_the_null_is_false(made):
    run, truth = made([finding("moral", MORAL)], adapter=None, behaviours=[], entry_adapter=None)
    result = score(run, truth)
    assert (result.recall, result.false_discovery_rate) == (None, 1.0)
    assert score(*made([], adapter=None, behaviours=[], entry_adapter=None)).false_discovery_rate == 0.0


def test_an_adapter_of_another_checkout_is_known_by_its_name(made):
    assert score(*made([], adapter="elsewhere/mixed")).intervention == "mixed"


def test_an_unknown_adapter_an_unfinished_run_and_a_wrong_truth_are_refused(made, tmp_path):
    with pytest.raises(ConfigError, match="other"):
        score(*made([], adapter="adapters/other"))
    run, truth = made(None)
    (run / "findings.json").unlink()
    with pytest.raises(RunDirectoryError, match="not concluded"):
        score(run, truth)
    truth.write_text("schema: something\n")
    with pytest.raises(ConfigError, match="schema"):
        score(run, truth)
    truth.write_text("schema: auto-interventions/truth@1\ninterventions: [{name: a, adapter: null, behaviours: [{id: x}]}]\n")
    with pytest.raises(ConfigError, match=r"interventions\.0\.behaviours\.0\.kind"):
        score(run, truth)
    with pytest.raises(RunDirectoryError):
        score(tmp_path / "nothing", truth)


def test_a_run_on_recorded_texts_has_no_planted_truth(made):
    run, truth = made([])
    description = json.loads((run / "run.json").read_text())
    description["config"] = {"base": {"texts": "a.jsonl"}, "intervention": {"texts": "a.jsonl"}}
    (run / "run.json").write_text(json.dumps(description))
    with pytest.raises(ConfigError, match=r"intervention\.model"):
        score(run, truth)


def test_the_score_is_json(made):
    assert json.loads(json.dumps(score(*made([finding("moral", MORAL)])).as_dict()))["recall"] == 0.5


def test_phi_is_the_correlation():
    rng = generator("phi")
    a, b = rng.random(500) < 0.3, rng.random(500) < 0.5
    assert phi(a, b) == pytest.approx(np.corrcoef(a, b)[0, 1])
    assert phi(a, ~a) == pytest.approx(-1)
    assert phi(a, np.zeros(500, bool)) == 0.0
