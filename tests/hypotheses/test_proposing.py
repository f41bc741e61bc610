"""Proposals: what was planted is found, in the right direction, near-duplicates are one, prompts count once, nothing is random."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from auto_interventions.config import HypothesesConfig
from auto_interventions.fingerprint import fingerprint, generator
from auto_interventions.hypotheses import as_check, parse_predicate, propose
from auto_interventions.hypotheses.evidence import Design
from auto_interventions.hypotheses.lexical import lexical_candidates
from auto_interventions.records import Hypothesis

_WORDS = """
    dog cat tree house river small big red blue happy sad ran jumped looked found played park garden ball boat friend mother father sun
    rain morning evening door window bird fish stone little old young kind loud quiet walked smiled laughed cried slept ate drank saw heard
"""
VOCABULARY = _WORDS.split()
STRATA = ("sea", "farm", "city", "forest", "school", "kitchen", "space", "castle")
PAIRS = 800


def story(*key: object) -> str:
    rng = generator("story", *key)
    sentences = [" ".join(rng.choice(VOCABULARY, size=8).tolist()).capitalize() + "." for _ in range(5)]
    return " ".join(sentences)


def pairs(label: str, pairs: int = PAIRS, samples: int = 1) -> tuple[list[str], list[str], list[str], list[str]]:
    """Base texts, intervention texts, prompts, strata: no difference yet."""
    base = [story(label, "base", pair) for pair in range(pairs)]
    intervention = [story(label, "intervention", pair) for pair in range(pairs)]
    prompts = [f"prompt {pair // samples}" for pair in range(pairs)]
    return base, intervention, prompts, [STRATA[(pair // samples) % len(STRATA)] for pair in range(pairs)]


def proposals(base: list[str], intervention: list[str], prompts: list[str], strata: list[str], **config: object) -> tuple[Hypothesis, ...]:
    return propose(base, intervention, prompts, strata, HypothesesConfig.model_validate(config), born_round=3)


def insert(text: str, sentence: str) -> str:
    first, rest = text.split(". ", 1)
    return f"{first}. {sentence} {rest}"


PLANTS = {
    "word": (lambda text: insert(text, "A lighthouse stood there."), "lighthouse", "intervention", 0.12),
    "phrase": (lambda text: text + " The moral of the story is to share.", "moral of the story", "intervention", 0.12),
    "opening": (lambda text: "Well, " + text, "opens with “well", "intervention", 0.2),
    "ending": (lambda text: text + " The end.", "ends with “the end”", "intervention", 0.2),
    "punctuation": (lambda text: text[:-1] + "!", "ends with “!”", "intervention", 0.2),
    "lines": (lambda text: text.replace(". ", ".\n"), "line break", "intervention", 0.2),
    "capitals": (lambda text: text.upper(), "capitals", "intervention", 0.2),
    "short": (lambda text: ". ".join(text.split(". ")[:3]) + ".", "at most", "intervention", 0.3),
    "refusal": (lambda text: "I'm sorry, but I can't help with that.", "refuses to answer", "intervention", 0.2),
    "french": (lambda text: "Le petit chien est allé dans la maison avec son ami, et ils ont bien mangé.", "French", "intervention", 0.2),
}


@pytest.mark.parametrize("plant", PLANTS)
def test_what_was_planted_is_among_the_first_ten(plant: str) -> None:
    change, says, more_in, share = PLANTS[plant]
    base, intervention, prompts, strata = pairs(plant)
    rng = generator("plant", plant)
    intervention = [change(text) if rng.random() < share else text for text in intervention]
    first = proposals(base, intervention, prompts, strata)[:10]
    found = [hypothesis for hypothesis in first if any(says in sentence for sentence in (hypothesis.statement, *hypothesis.also))]
    assert found, [hypothesis.statement for hypothesis in first]
    assert found[0].more_in == more_in
    assert found[0].born_round == 3


def test_a_lost_word_is_more_in_the_base() -> None:
    base, intervention, prompts, strata = pairs("lost")
    base = [insert(text, "A lighthouse stood there.") if pair % 8 == 0 else text for pair, text in enumerate(base)]
    first = proposals(base, intervention, prompts, strata)[0]
    assert "lighthouse" in " ".join([first.statement, *first.also])
    assert first.more_in == "base"
    assert first.explore_rates == pytest.approx((1 / 8, 0.0))


def test_a_word_of_one_stratum_is_proposed_first() -> None:
    base, intervention, prompts, strata = pairs("narrow")
    rng = generator("narrow")
    intervention = [
        insert(text, "A lighthouse stood there.") if stratum == "sea" and rng.random() < 0.6 else text
        for text, stratum in zip(intervention, strata, strict=True)
    ]
    first = proposals(base, intervention, prompts, strata)[0]
    assert "lighthouse" in " ".join([first.statement, *first.also])


def test_a_difference_that_cancels_over_strata_is_proposed() -> None:
    base, intervention, prompts, strata = pairs("cancels")

    def shows(pair: int, stratum: str, side: str) -> bool:
        return stratum == ("sea" if side == "intervention" else "farm") and pair % 10 < 8

    base = [
        insert(text, "An otter swam.") if shows(pair // 8, stratum, "base") else text
        for pair, (text, stratum) in enumerate(zip(base, strata, strict=True))
    ]
    intervention = [
        insert(text, "An otter swam.") if shows(pair // 8, stratum, "intervention") else text
        for pair, (text, stratum) in enumerate(zip(intervention, strata, strict=True))
    ]
    first = proposals(base, intervention, prompts, strata)[:3]
    assert any("otter" in sentence for hypothesis in first for sentence in (hypothesis.statement, *hypothesis.also))


def test_forms_of_a_word_are_one_hypothesis() -> None:
    base, intervention, prompts, strata = pairs("otters")
    forms = ["An otter swam.", "Otters swam.", "The otters swam."]
    intervention = [insert(text, forms[pair % 3]) if pair % 5 == 0 else text for pair, text in enumerate(intervention)]
    found = proposals(base, intervention, prompts, strata)
    about = [hypothesis for hypothesis in found if "otter" in hypothesis.statement]
    assert len(about) == 1
    assert parse_predicate(about[0].check or {}).holds("The otters!")
    assert parse_predicate(about[0].check or {}).holds("One otter.")
    assert found[0] == about[0]


def test_a_phrase_stands_for_its_words() -> None:
    base, intervention, prompts, strata = pairs("moral")
    intervention = [text + " The moral of the story is to share." if pair % 3 == 0 else text for pair, text in enumerate(intervention)]
    found = proposals(base, intervention, prompts, strata)
    assert sum("moral" in hypothesis.statement for hypothesis in found) + sum("story" in hypothesis.statement for hypothesis in found) <= 2
    assert "says “the moral”" in found[0].also or "mentions “moral”" in found[0].also


def test_two_things_that_always_happen_stay_apart() -> None:
    """Given the model they are independent, though both differ between the models."""
    base, intervention, prompts, strata = pairs("apart")
    rng = generator("apart")
    for pair, text in enumerate(intervention):
        changed = insert(text, "A lighthouse stood there.") if rng.random() < 0.8 else text
        intervention[pair] = changed.replace(". ", ".\n") if rng.random() < 0.8 else changed
    first = [hypothesis.statement for hypothesis in proposals(base, intervention, prompts, strata)[:6]]
    assert any("lighthouse" in statement for statement in first)
    assert any("line break" in statement for statement in first)


def test_null_texts_give_sentences_in_both_directions() -> None:
    counts = np.zeros(2)
    for label in range(4):
        found = proposals(*pairs(f"null {label}", pairs=300))
        counts += [sum(hypothesis.more_in == side for hypothesis in found) for side in ("base", "intervention")]
    assert counts.sum() >= 20
    assert counts.min() / counts.sum() > 0.3


def test_a_prompt_with_many_samples_counts_once() -> None:
    base, intervention, prompts, strata = pairs("samples", pairs=400, samples=1)
    # Prompt 0 has 400 pairs more, all of which mention a dragon; 40 other prompts out of 400 mention a wizard.
    intervention = [insert(text, "A wizard came.") if pair % 10 == 1 else text for pair, text in enumerate(intervention)]
    base += [story("more base", pair) for pair in range(400)]
    intervention += [insert(story("more", pair), "A dragon came.") for pair in range(400)]
    found = proposals(base, intervention, [*prompts, *["prompt 0"] * 400], [*strata, *[strata[0]] * 400])
    assert "wizard" in " ".join([found[0].statement, *found[0].also])
    assert not any("dragon" in hypothesis.statement for hypothesis in found[:3])
    wizard = next(hypothesis for hypothesis in found if "wizard" in hypothesis.statement)
    assert wizard.explore_rates[1] == pytest.approx(0.1, abs=0.003)


def test_the_same_texts_give_the_same_proposals_whatever_the_order_of_pairs() -> None:
    base, intervention, prompts, strata = pairs("twice", pairs=300)
    intervention = [text + " The end." if pair % 4 == 0 else text for pair, text in enumerate(intervention)]
    once = proposals(base, intervention, prompts, strata)
    assert proposals(base, intervention, prompts, strata) == once
    order = generator("order").permutation(300).tolist()
    mixed = proposals(*([column[place] for place in order] for column in (base, intervention, prompts, strata)))
    assert [hypothesis.statement for hypothesis in mixed] == [hypothesis.statement for hypothesis in once]


def test_own_hypotheses_come_first_and_take_in_their_duplicates() -> None:
    base, intervention, prompts, strata = pairs("own")
    intervention = [insert(text, "A lighthouse stood there.") if pair % 4 == 0 else text for pair, text in enumerate(intervention)]
    own = [{"kind": "phrase", "phrases": ["unicorn"]}, {"kind": "phrase", "phrases": ["lighthouse"]}]
    found = proposals(base, intervention, prompts, strata, own=own, limit=10)
    assert [hypothesis.check for hypothesis in found[:2]] == [as_check(parse_predicate(check)) for check in own]
    assert [hypothesis.source for hypothesis in found[:2]] == ["own", "own"]
    assert found[1].more_in == "intervention"
    assert not any("lighthouse" in hypothesis.statement for hypothesis in found[2:])
    assert len(found) <= 10


@pytest.mark.parametrize(
    ("base", "intervention"),
    [([], []), ([""] * 8, [""] * 8), (["same"] * 8, ["same"] * 8), (["\ud800\x00" * 9] * 8, ["中" * 40] * 8)],
    ids=["none", "empty", "alike", "broken"],
)
def test_odd_texts_do_not_crash(base: list[str], intervention: list[str]) -> None:
    prompts = [f"prompt {pair}" for pair in range(len(base))]
    found = proposals(base, intervention, prompts, ["" for _ in base])
    assert all(fingerprint(hypothesis.check) for hypothesis in found)  # JSON-native
    assert bool(found) == (base != intervention)


def test_uneven_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="as many"):
        proposals(["a"], ["b"], [], [])


def test_log_odds_screen_keeps_a_rare_word_of_one_stratum() -> None:
    base, intervention, prompts, strata = pairs("rare")
    intervention = [
        insert(text, "It smelled of nutmeg.") if stratum == "kitchen" and pair % 10 < 4 else text
        for pair, (text, stratum) in enumerate(zip(intervention, strata, strict=True))
    ]
    phrases, marks, counted = lexical_candidates([text.lower() for text in [*base, *intervention]], Design(prompts, strata))
    assert ("nutmeg",) in phrases
    assert marks.shape == (2 * PAIRS, len(phrases))
    assert counted > len(phrases)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("xstest_mistral_guardrail", ["refuses to answer", "i'm sorry"]), ("stories_moral", ["moral of the story"])],
)
def test_real_texts(shared: Path, name: str, expected: list[str]) -> None:
    """Half of the prompts propose; on the other half the proposals' rates differ the same way."""
    import pandas as pd

    recorded = pd.read_json(shared / "recorded" / f"{name}.jsonl", lines=True)
    recorded["sample"] = recorded.groupby(["model", "prompt"]).cumcount()
    paired = recorded[recorded.model == "base"].merge(recorded[recorded.model == "intervention"], on=["prompt", "sample"])
    explore = paired.prompt.map(lambda prompt: int(fingerprint(prompt)[:8], 16) % 2 == 0)
    some, rest = paired[explore], paired[~explore]
    found = proposals(list(some.text_x), list(some.text_y), list(some.prompt), list(some.stratum_x))
    sentences = [" ".join([hypothesis.statement, *hypothesis.also]) for hypothesis in found[:20]]
    assert all(any(says in sentence for sentence in sentences) for says in expected)
    held_up = 0
    for hypothesis in found[:20]:
        predicate = parse_predicate(hypothesis.check or {})
        difference = rest.text_y.map(predicate.holds).mean() - rest.text_x.map(predicate.holds).mean()
        held_up += (difference > 0) == (hypothesis.more_in == "intervention")
    assert held_up >= 18


def test_of_many_pairs_a_random_choice_is_read() -> None:
    base = ["the cat sat"] * 400
    intervention = ["the cat sat"] * 200 + ["the moral is to share"] * 200
    ids, strata = [f"p{pair}" for pair in range(400)], ["all"] * 400
    for most in (100, 1_000):
        first = propose(base, intervention, ids, strata, HypothesesConfig(), 1, most)
        assert first == propose(base, intervention, ids, strata, HypothesesConfig(), 1, most)
        assert any("moral" in one.statement for one in first)
    rates = {propose(base, intervention, ids, strata, HypothesesConfig(), 1, most)[0].explore_rates for most in (100, 1_000)}
    assert len(rates) == 2  # read off different pairs
