"""Sentences that language models judge: error rates under scheduling and peeking, the block rule, sizes, and what it costs."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from auto_interventions.confirming import ConfirmState, conclude, confirm_round, standing, validated
from auto_interventions.fingerprint import generator
from auto_interventions.judging.judged import Judged
from auto_interventions.subjects.base import Request

from . import worlds
from .readers import STRATA, Readers, certain, confirm, pairs_of, sentences, settings

ALPHA = 0.05
CONFIG = settings()


def readers(name: str, number: int, rises: tuple[float, ...], **kind: float | None) -> Readers:
    return Readers(generator("test-judged", name, number), rises, **kind)  # pyright: ignore[reportArgumentType]


def true_payoff(rise: float, accuracy: float) -> float:
    """Mean payoff of a judge of this accuracy."""
    alone = Readers(generator("true payoff", rise, accuracy), (rise,), accuracy, share=None, failing=0.0)
    many = pairs_of(_requests(20_000))
    said = alone(many, np.ones((1, len(many)), dtype=np.bool_))
    return float((said.intervention - said.base).mean())


def _requests(prompts: int) -> list[Request]:
    return [Request(prompt, 0, 1) for prompt in worlds.bank(prompts, STRATA)]


def test_equal_models_and_a_biased_noisy_judge_validate_nothing_at_any_look() -> None:
    """200 audits of 6 dependent sentences, looked at after every block, stopped by their own rule, the gate wide open: P(any) ≤ α."""
    few = settings(max_pairs=150)
    wrong, blocks = [], []
    for number in range(200):
        judges = readers("null", number, (0.0,) * 6, accuracy=0.5, bias=0.9)
        states = confirm(judges, few, sentences(6), certain())
        wrong.append(any(validated(state, certain(), ALPHA).any() for state in states))
        blocks.append(len(states))
    assert np.mean(blocks) > 3
    assert np.mean(wrong) <= ALPHA + 2.5 * np.sqrt(ALPHA * (1 - ALPHA) / 200)


def test_false_discoveries_and_power_where_some_differ() -> None:
    """3 of 12 sentences are true: found, with fewer verdicts than 200 a sentence, and few strong ones."""
    shares, found, tried, strong = [], [], [], []
    for number in range(25):
        judges = readers("some", number, (0.6, 0.5, 0.4, *(0.0,) * 9))
        last = confirm(judges, CONFIG, sentences(12), certain())[-1]
        passed = validated(last, certain(), ALPHA)
        shares.append(passed[3:].sum() / max(passed.sum(), 1))
        found.append(passed[:3])
        tried.append(last.tried)
        strong.append(judges.calls["strong"] / judges.calls["cheap"])
    assert np.mean(shares) <= ALPHA + 3 * np.std(shares) / np.sqrt(len(shares))
    assert np.mean(found, axis=0).min() >= 0.9
    assert np.mean(tried, axis=0)[0] < 100
    assert np.mean(tried) < 150
    assert np.mean(strong) < 0.35


@pytest.mark.parametrize(("share", "sizing"), [(0.2, False), (0.2, True), (None, False)])
def test_intervals_cover_what_the_better_judge_says(share: float | None, sizing: bool) -> None:
    """Whenever a sentence was stopped. The cheap judge alone is right in 70% and shows less than half of the difference."""
    truth = [true_payoff(rise, 0.97 if share else 0.7) for rise in (0.6, 0.3, 0.0)]
    missed, errors, widths = [], [], []
    config = settings(strong="openai:strong") if share else CONFIG
    for number in range(25):
        judges = readers("cover", number, (0.6, 0.3, 0.0), accuracy=0.7, share=share)
        last = confirm(judges, config, sentences(3), certain(), least_chance=share or 1.0, sizing=sizing)[-1]
        effects = [last.effect(sentence, ALPHA) for sentence in range(3)]
        missed += [not effect.interval[0] <= mean <= effect.interval[1] for effect, mean in zip(effects, truth, strict=True)]
        errors.append([effect.difference - mean for effect, mean in zip(effects, truth, strict=True)])
        widths.append(effects[0].interval[1] - effects[0].interval[0])
        for effect in effects:
            assert 0 <= effect.base_rate <= 1
            assert effect.difference == pytest.approx(effect.intervention_rate - effect.base_rate)
    assert np.mean(missed) <= 0.05 + 2.5 * np.sqrt(0.05 * 0.95 / len(missed))
    assert np.all(np.abs(np.mean(errors, axis=0)) < 0.03 + 3 * np.std(errors, axis=0) / 5)
    if share:  # a slice alone leaves the size of what was validated after sixty pairs open
        assert np.mean(widths) < 0.65 if sizing else np.mean(widths) > 1


def test_judging_where_another_sentence_fits_breaks_it_and_blocks_do_not() -> None:
    """Two sentences that long texts fit more, equal models. Judged where the other was just seen to fit: "evidence" from nothing."""
    random, pairs, leaked, honest = generator("test-judged", "leak"), 240, [], []
    for _ in range(40):
        long = random.normal(size=(2, pairs))
        base, intervention = (np.stack([1.5 * long[side] + random.normal(size=pairs) > 0 for _ in range(2)]) for side in (0, 1))
        payoffs = intervention.astype(np.float32) - base.astype(np.float32)
        leaks = payoffs[0] > 0  # its verdict on the same pair
        earlier = np.repeat(payoffs[0].reshape(-1, 10).sum(axis=1) > 0, 10)  # its verdicts on the block before
        earlier = np.concatenate([np.ones(10, dtype=np.bool_), earlier[:-10]])
        for chosen, log_e in ((leaks, leaked), (earlier, honest)):
            cells = np.stack([np.ones(pairs, dtype=np.bool_), chosen])
            said = Judged.of_scores(*(np.where(cells, scores, np.nan).astype(np.float32) for scores in (base, intervention)))
            start = ConfirmState.start(sentences(2), pairs)
            log_e.append(confirm_round(start, pairs_of(_requests(pairs)), judged=said, cells=cells).log_e[1])
    assert np.mean(np.array(leaked) > np.log(20)) > 0.5
    assert np.mean(np.array(honest) > np.log(20)) <= ALPHA + 2.5 * np.sqrt(ALPHA * (1 - ALPHA) / 40)


def test_few_verdicts_do_not_depend_on_rounds_and_the_cheap_judge_earns_its_trust_over_all() -> None:
    judges = readers("fold", 0, (0.5, 0.0))
    pairs = pairs_of(_requests(60))
    said = judges(pairs, np.ones((2, 60), dtype=np.bool_))
    start = ConfirmState.start(sentences(2), 60, least_chance=0.2)
    once = confirm_round(start, pairs, judged=said)
    parts = [Judged(*(getattr(said, field.name)[:, at : at + 20] for field in fields(said))) for at in (0, 20, 40)]
    state = start
    for at, part in zip((0, 20, 40), parts, strict=True):
        state = confirm_round(state, pairs[at : at + 20], judged=part)
    np.testing.assert_allclose(state.log_e, once.log_e)
    np.testing.assert_allclose(state.paid, once.paid)
    assert state.effect(0, ALPHA) == once.effect(0, ALPHA)
    assert (once.tried == 60).all()


def test_a_finding_names_its_own_judges_and_counts_its_own_pairs() -> None:
    hypotheses = [*worlds.hypotheses(1), *sentences(2)[1:]]
    judges = readers("named", 0, (0.6, 0.6), failing=0.0)
    last = confirm(judges, CONFIG, hypotheses, certain(), prompts=120)[-1]
    end = conclude(last, certain(), CONFIG, judges=lambda one: ("predicate",) if one.check is not None else ("cheap", "strong"))
    checked, read = sorted(end.findings, key=lambda one: one.statement)
    assert checked.judges == ("predicate",)
    assert read.judges == ("cheap", "strong")
    assert read.pairs < checked.pairs == len(last.pairs)
    assert read.status == "validated"
    assert standing(last, certain(), CONFIG)[1] == "validated"
    assert len(read.evidence) == 8
