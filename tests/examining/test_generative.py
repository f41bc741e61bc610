from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from auto_interventions.config import SamplingConfig, SubjectConfig
from auto_interventions.errors import BudgetSpent
from auto_interventions.examining import validate_generatively
from auto_interventions.examining.generative import likelihood_test
from auto_interventions.fingerprint import generator
from auto_interventions.records import Finding, Generation, Pair
from auto_interventions.subjects import Scorer, Subject, open_subject
from tests.examining.conftest import Ask, Sides
from tests.examining.labellers import HOSTILE, answering, fences, outside, writes_two
from tests.examining.making import finding
from tests.examining.singers import NEUTRAL, SINGING, bank
from tests.llm.conftest import Serve
from tests.llm.protocols import Question
from tests.llm.server import Fault

ALPHA = 0.05
SINGS = finding('says that somebody "sang"')
# A chat model trims what it writes: the space after the prompt is put back.
WRITER = answering(writes_two(SINGING.strip(), NEUTRAL.strip()))


def look(asker: Any, subjects: tuple[Subject, Subject], findings: list[Finding], prompts: int = 12, pairs: Any = None) -> dict[str, Any]:
    return cast(dict[str, Any], validate_generatively(asker, findings, pairs or bank(), *subjects, prompts, 0, ALPHA))


@pytest.mark.parametrize("provider", ["gemini", "openai", "anthropic"])
def test_a_planted_difference_shows_in_the_models_own_likelihoods(serve: Serve, ask: Ask, sides: Sides, provider: str) -> None:
    server = serve(models={"m": WRITER})
    told = look(ask(server, provider), sides.open(), [SINGS, finding("not so", number=1, status="not validated")])
    assert list(told) == [SINGS.id]
    found = told[SINGS.id]
    assert (found["prompts"], found["share_above"], found["shows"]) == (12, 1.0, True)
    assert found["p_value"] == pytest.approx(2**-11, rel=1e-4)
    assert found["interval"][0] > 0.3
    assert found["interval"][0] < found["mean"] < found["interval"][1]
    assert (found["example"]["fits"], found["example"]["does_not"], found["unusable"]) == ("So she sang.", "She was sad.", {})
    assert server.summary()["calls"] == 12
    json.dumps(told)
    assert look(ask(server, provider), sides.open(), [SINGS]) == told
    assert server.summary()["calls"] == 12


def test_the_number_is_the_models(serve: Serve, ask: Ask, sides: Sides) -> None:
    base, intervention = sides.open()
    assert isinstance(base, Scorer)
    assert isinstance(intervention, Scorer)
    pairs = bank()[:1]
    told = look(ask(serve(models={"m": WRITER})), (base, intervention), [SINGS], pairs=pairs)[SINGS.id]
    texts = [SINGING, NEUTRAL]
    ratios = (intervention.log_likelihood(pairs[0].prompt, texts) - base.log_likelihood(pairs[0].prompt, texts)) / base.token_counts(
        pairs[0].prompt, texts
    )
    assert told["mean"] == pytest.approx(ratios[0] - ratios[1])
    assert (told["prompts"], told["interval"], told["p_value"], told["shows"]) == (1, None, 1.0, False)


def test_what_the_base_has_more_of_counts_the_other_way(serve: Serve, ask: Ask, sides: Sides) -> None:
    server = serve(models={"m": answering(writes_two(NEUTRAL.strip(), SINGING.strip()))})
    sad = finding("says that somebody was sad", more_in="base", number=2)
    found = look(ask(server), sides.open(), [sad])[sad.id]
    assert found["shows"] is True
    wrong = finding("says that somebody was sad", more_in="intervention", number=3)
    found = look(ask(server), sides.open(), [wrong])[wrong.id]
    assert found["mean"] < 0
    assert found["shows"] is False


def test_identical_models_show_nothing(serve: Serve, ask: Ask, sides: Sides) -> None:
    found = look(ask(serve(models={"m": WRITER})), sides.open(intervention="base"), [SINGS])[SINGS.id]
    assert (found["mean"], found["share_above"], found["p_value"], found["shows"]) == (0.0, 0.5, 1.0, False)


def test_a_sentence_that_the_texts_do_not_follow_shows_nothing_too_often(sides: Sides) -> None:
    """Real likelihood ratios of the changed model, texts assigned to "fits" and "does not" by a coin: level over 600 assignments."""
    base, intervention = sides.open()
    assert isinstance(base, Scorer)
    assert isinstance(intervention, Scorer)
    texts = [SINGING, NEUTRAL, " She went to the river.", " A little otter sang.", " So she was sad.", " One day"]
    ratios = np.array(
        [intervention.log_likelihood(pair.prompt, texts) - base.log_likelihood(pair.prompt, texts) for pair in bank()]
    ) / base.token_counts(bank()[0].prompt, texts)
    hits = 0
    for number in range(600):
        random = generator("test-generative", number)
        chosen = np.array([row[random.choice(len(texts), 2, replace=False)] for row in ratios])
        p_value = likelihood_test(chosen[:, 0], chosen[:, 1], ALPHA)["p_value"]
        hits += cast(float, p_value) <= ALPHA
    assert hits / 600 <= ALPHA + 3 * np.sqrt(ALPHA / 600)


def test_intervals_cover_and_a_difference_is_seen() -> None:
    random = generator("test-generative", "intervals")
    covered = shown = 0
    for _ in range(400):
        told = likelihood_test(0.2 + 0.3 * random.standard_t(6, 20), 0.3 * random.standard_normal(20), ALPHA)
        lo, hi = cast(list[float], told["interval"])
        covered += lo <= 0.2 <= hi
        shown += bool(told["shows"])
    assert covered / 400 > 0.92
    assert shown / 400 > 0.3


def test_who_is_asked_for_first_is_a_coin_and_all_data_are_fenced(serve: Serve, ask: Ask, sides: Sides) -> None:
    seen: list[str] = []

    def noting(question: Question) -> dict[str, Any]:
        seen.append(outside(question))
        assert [name for name, _ in fences(question)] == ["sentence", "prompt", "example"]
        return writes_two("So she sang.", "She was sad.")(question)

    asker = ask(serve(models={"m": answering(noting)}))
    hostile = [finding(text, number=number + 10) for number, text in enumerate(HOSTILE)]
    pairs = [
        Pair(
            pair.prompt,
            Generation("base", pair.prompt, 0, " " + text, 5, True),
            Generation("intervention", pair.prompt, 0, text, 5, True),
            1,
        )
        for pair, text in zip(bank(), HOSTILE, strict=False)
    ]
    told = look(asker, sides.open(), [SINGS, *hostile], pairs=pairs)
    assert all(one["prompts"] == len(pairs) for one in told.values())
    wishes = {text.strip() for text in seen}
    assert wishes == {
        "Write `first` and `second`. The sentence must fit `first` and must not fit `second`.",
        "Write `first` and `second`. The sentence must fit `second` and must not fit `first`.",
    }
    firsts = sum("must fit `first`" in text for text in seen)
    assert 0.25 < firsts / len(seen) < 0.75


def test_unusable_texts_are_counted_and_left_out(serve: Serve, ask: Ask, sides: Sides) -> None:
    def sloppy(question: Question) -> str:
        number = ["One day", "a little", "The light", "she"].index(
            next(w for w in ("One day", "a little", "The light", "she") if w in question.text)
        )
        if number == 0:
            return json.dumps({"first": "same", "second": " same "})
        if number == 1:
            return json.dumps({"first": "\u200b", "second": "text"})
        return WRITER(question)

    server = serve(models={"m": sloppy}, script=[Fault("blocked")])
    found = look(ask(server, concurrency=1), sides.open(), [SINGS], prompts=16)[SINGS.id]
    assert found["unusable"]["blocked"] == 1
    assert found["unusable"]["alike"] + found["unusable"]["empty"] in (7, 8)
    assert found["prompts"] == 16 - sum(found["unusable"].values())
    long = json.dumps({"first": "otter 🙂 " * 60, "second": "x"})
    far = [
        Pair(
            p.prompt, Generation("base", p.prompt, 0, " x" * 400, 5, True), Generation("intervention", p.prompt, 0, " x" * 400, 5, True), 1
        )
        for p in bank()
    ]
    told = look(ask(serve(models={"m": lambda _: long})), sides.open(), [finding("is long", number=7)], prompts=3, pairs=far)
    assert told[finding("", number=7).id] == {"not_available": "no usable texts (3 unscored)"}


def test_it_needs_live_models_prompts_and_money(serve: Serve, ask: Ask, sides: Sides, tmp_path: Path) -> None:
    (tmp_path / "texts.jsonl").write_text('{"model": "base", "prompt": "p", "text": "t"}\n')
    recorded = open_subject(SubjectConfig(texts=str(tmp_path / "texts.jsonl")), "base", SamplingConfig(), None)
    server = serve(models={"m": WRITER})
    told = look(ask(server), (recorded, sides.open()[1]), [SINGS])
    assert "live models" in told[SINGS.id]["not_available"]
    assert server.summary()["calls"] == 0
    none = validate_generatively(ask(server), [SINGS], [], *sides.open(), 5, 0, ALPHA)
    assert none == {SINGS.id: {"not_available": "no usable texts (no prompt)"}}
    with pytest.raises(BudgetSpent):
        look(ask(server, dollars=1e-7), sides.open(), [SINGS])
