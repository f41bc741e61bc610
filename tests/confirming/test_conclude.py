from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from auto_interventions.confirming import Conclusion, ConfirmState, capped_exp, conclude, confirm_round, plan_confirmation
from auto_interventions.exploring import RoundState
from auto_interventions.fingerprint import generator
from auto_interventions.inference import Wealth
from auto_interventions.records import Generation, Pair, Prompt

from .worlds import World, bank, config, explored, hypotheses

CONFIG = config()
RISES = (0.0, 0.5, -0.95, 0.0)


def state_of(rises: tuple[float, ...] = RISES, prompts: int = 150, samples: int = 2) -> ConfirmState:
    world = World(generator("test-conclude"), rises, 0.3)
    plan = plan_confirmation(bank(prompts), 0, len(rises), CONFIG, {prompt.id: samples for prompt in bank(prompts)})
    return confirm_round(ConfirmState.start(hypotheses(len(rises)), len(plan.backbone)), *world.round(list(plan.backbone)))


@pytest.fixture(scope="module")
def ended() -> tuple[ConfirmState, Conclusion]:
    state = state_of()
    return state, conclude(state, explored(), CONFIG)


def test_every_hypothesis_is_in_the_answer_best_first(ended: tuple[ConfirmState, Conclusion]) -> None:
    _, end = ended
    assert {finding.statement for finding in end.findings} == {f"sentence {number}" for number in range(4)}
    assert [finding.status for finding in end.findings] == ["validated", "validated", "not validated", "not validated"]
    assert {finding.statement for finding in end.findings[:2]} == {"sentence 1", "sentence 2"}
    log_e = [finding.log_e for finding in end.findings]
    assert log_e == sorted(log_e, reverse=True)


def test_numbers_of_a_finding_agree(ended: tuple[ConfirmState, Conclusion]) -> None:
    _, end = ended
    for finding in end.findings:
        assert finding.interval[0] <= finding.difference <= finding.interval[1]
        assert finding.difference == pytest.approx(finding.intervention_rate - finding.base_rate)
        assert finding.more_in == ("intervention" if finding.difference > 0 else "base")
        assert finding.e_value == pytest.approx(np.exp(finding.log_e))
        assert finding.pairs == 300
        assert finding.judges == ("predicate",)
        assert sorted(stratum.stratum for stratum in finding.strata) == ["a", "b", "c"]
        assert sum(stratum.prompts for stratum in finding.strata) == 150
    gained, lost = (next(finding for finding in end.findings if finding.statement == f"sentence {number}") for number in (1, 2))
    assert gained.more_in == "intervention"
    assert lost.more_in == "base"  # it was proposed as gained: the reversed one is a finding


def test_evidence_is_texts_that_show_it_whose_partner_does_not(ended: tuple[ConfirmState, Conclusion]) -> None:
    state, end = ended
    for number, role in ((1, "intervention"), (2, "base")):
        finding = next(finding for finding in end.findings if finding.statement == f"sentence {number}")
        rows = {getattr(pair, role).id: row for row, pair in enumerate(state.pairs)}
        shown = [rows[text] for text in finding.evidence]
        here, there = (
            (state.scores_intervention, state.scores_base) if role == "intervention" else (state.scores_base, state.scores_intervention)
        )
        assert len(shown) == len(set(shown)) == 8
        assert all(here[number, row] == 1 and there[number, row] == 0 for row in shown)
        assert len({state.prompt_of_pair[row] for row in shown}) == 8


def test_overall_and_json(ended: tuple[ConfirmState, Conclusion]) -> None:
    _, end = ended
    assert end.overall["verdict"] == "different"
    assert set(end.overall) == {"verdict", "e_value", "log_e", "auc", "smallest_detectable"}
    assert 0 < float(str(end.overall["smallest_detectable"])) < 0.3
    json.dumps([asdict(finding) for finding in end.findings], allow_nan=False)
    json.dumps(end.overall, allow_nan=False)


def test_no_difference_is_an_answer() -> None:
    end = conclude(state_of((0.0,) * 5), explored(), CONFIG)
    assert end.overall["verdict"] == "no difference found"
    assert all(finding.status == "not validated" for finding in end.findings)
    assert end.divergent == ()


def test_gate_closes_over_strata_too() -> None:
    """A stratum with e-value 70 of 3 passes e-BH alone at 0.05; the overall evidence of 8 does not let it through."""
    state = RoundState.start(("a", "b", "c"))
    log_wealth = state.log_wealth_strata.copy()
    log_wealth[0] += np.log(70)
    lucky = replace(state, log_wealth_strata=log_wealth)
    end = conclude(ConfirmState.start([], 0), lucky, CONFIG)
    assert end.divergent == ()
    assert end.overall["verdict"] == "no difference found"
    sure = replace(lucky, overall=Wealth.start(two_sided=False, bettors=2).bet(np.ones((2, 30))))
    end = conclude(ConfirmState.start([], 0), sure, CONFIG)
    assert end.divergent == (0,)
    assert end.overall["verdict"] == "different"


def test_nothing_confirmed() -> None:
    """No hypothesis, or no pair: a valid answer still."""
    assert conclude(ConfirmState.start([], 0), explored(), CONFIG).findings == ()
    end = conclude(ConfirmState.start(hypotheses(2), 10), explored(), CONFIG)
    assert end.overall["smallest_detectable"] == 1.0
    for finding in end.findings:
        assert (finding.e_value, finding.interval, finding.pairs, finding.evidence) == (pytest.approx(1), (-1, 1), 0, ())


def test_enormous_evidence_is_capped_in_numbers_only() -> None:
    assert capped_exp(5000.0) == 1e300
    assert capped_exp(-np.inf) == 0
    end = conclude(state_of((1.0,), prompts=700, samples=2), explored(), CONFIG)
    assert end.findings[0].log_e > 500


def test_a_prompt_of_one_stratum_only() -> None:
    alone = [Prompt("only", "a", "confirm")]
    world = World(generator("test-conclude", "one"), (0.5,))
    plan = plan_confirmation(alone, 0, 1, CONFIG, {alone[0].id: 3})
    end = conclude(confirm_round(ConfirmState.start(hypotheses(1), 1), *world.round(list(plan.backbone))), explored(), CONFIG)
    lo, hi = end.findings[0].interval
    assert hi - lo > 1  # one prompt is one unit, whatever the samples


def test_intervals_of_validated_findings_seldom_miss() -> None:
    """Picked out of many small effects because they were validated, at most 5% of their intervals may miss (false coverage rate)."""
    rise, sentences, misses = 0.065, 40, []
    for audit in range(8):
        random = generator("selected intervals", audit)
        prompts = bank(400)
        pairs = [pair_of(prompt) for prompt in prompts]
        base = (random.random((sentences, len(pairs))) < 0.1).astype(np.float32)
        after = (random.random((sentences, len(pairs))) < 0.1 + rise).astype(np.float32)
        state = confirm_round(ConfirmState.start(hypotheses(sentences), len(prompts)), pairs, base, after)
        found = [finding for finding in conclude(state, certain(), CONFIG).findings if finding.status == "validated"]
        misses.append(np.mean([not finding.interval[0] <= rise <= finding.interval[1] for finding in found]) if found else 0.0)
    assert np.mean(misses) <= 0.05


def pair_of(prompt: Prompt) -> Pair:
    return Pair(prompt, Generation("base", prompt, 0, "", 0, True), Generation("intervention", prompt, 0, "", 0, True), 0)


def certain() -> RoundState:
    """Exploring that left no doubt, so that the gate is open."""
    return replace(explored(), overall=Wealth(np.full((1, 6), 20.0)))
