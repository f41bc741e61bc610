"""A labeller asked over HTTP through the vendors' SDKs: what it proposes, in which direction, what it is shown."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from auto_interventions.config import ChatConfig, HypothesesConfig
from auto_interventions.labelling import Labeller, Site
from auto_interventions.llm import open_chat
from auto_interventions.llm.asking import Asker
from auto_interventions.records import Hypothesis
from auto_interventions.stores import Store, open_store
from tests.labelling.sites import asker, encode, labeller, pair_of, pairs_with, says, site, texts_shown, told, watched
from tests.llm.conftest import PRICE, Serve
from tests.llm.labellers import fence_of, items_of, kind_of, read_fences, word_labeller


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


@pytest.mark.parametrize("provider", ["gemini", "openai", "anthropic"])
def test_finds_what_differs_on_both_sides(provider: str, serve: Serve, store: Store) -> None:
    server, _ = watched(serve)
    mine = labeller(server, store, asked=asker(server, store, provider))
    found = mine.propose([site(base=["lantern", "common"], intervention=["lighthouse", "common"])], born_round=3)
    assert told(found) == {'mentions "lighthouse"': "intervention", 'mentions "lantern"': "base"}
    assert {(one.source, one.check, one.born_round) for one in found} == {("labeller", None, 3)}
    assert mine.so_far == found
    counts = {"failed": 0, "proposed": 2, "split": 0, "merged": 0, "refused": {}, "dropped": 0}
    assert mine.counts.as_dict() == {"calls": 2, **counts}, "all pairs were shown, and the second time there was nothing new"


def test_the_direction_is_right_whoever_is_x(serve: Serve, store: Store) -> None:
    server, seen = watched(serve)
    sites = [site(f"place {number}", base=["lantern"], intervention=[f"lighthouse{chr(97 + number)}"], seed=number) for number in range(24)]
    found = labeller(server, store, calls=24, limit=200).propose(sites, 1)
    lights = {statement: more_in for statement, more_in in told(found).items() if "lighthouse" in statement}
    assert len(lights) == 24
    assert set(lights.values()) == {"intervention"}
    asked = [question for question in seen if kind_of(question) == "propose"]
    y_is_intervention = sum("lighthouse" in " ".join(texts_shown(question, "text_Y")) for question in asked)
    assert 5 <= y_is_intervention <= 19, "a coin of 24 throws leaves this range once in 500 seeds"


def test_a_labeller_that_prefers_a_name_favours_no_side(serve: Serve, store: Store) -> None:
    numbers = iter(range(1000))
    server, _ = watched(serve, lambda question: says(f'mentions "thing{next(numbers)}"')(question))
    sites = [site(f"place {number}", intervention=["lighthouse"], seed=number) for number in range(40)]
    directions = Counter(told(labeller(server, store, calls=40, limit=200).propose(sites, 1)).values())
    assert directions.total() == 40
    assert 10 <= directions["base"] <= 30, "40 coins leave this range once in 1,000 seeds"


def test_places_of_one_name_throw_their_own_coins(serve: Serve, store: Store) -> None:
    server, seen = watched(serve)
    parts = pairs_with(intervention=["lighthouse"], count=96, share=1.0)
    labeller(server, store, calls=24).propose([Site("everywhere", parts[first : first + 4]) for first in range(0, 96, 4)], 1)
    coins = Counter("lighthouse" in " ".join(texts_shown(question, "text_Y")) for question in seen if kind_of(question) == "propose")
    assert coins.total() == 24
    assert min(coins[True], coins[False]) >= 5


def test_names_are_hidden_and_order_is_shuffled(serve: Serve, store: Store) -> None:
    server, seen = watched(serve)
    labeller(server, store, calls=6).propose([site("intervention stratum", base=["lantern"], intervention=["beacon"], count=80)], 1)
    everything = "\n".join(question.text for question in seen)
    assert not re.search(r"\b(?:base|intervention|stratum|openai|lexical)\b", everything)
    first = Counter(
        name
        for question in seen
        for block in re.split(r"^Pair \d+$", question.text, flags=re.M)[1:]
        for name in re.findall("<(text_[XY]) ", block)[:1]
    )
    assert first.total() >= 24
    assert min(first["text_X"], first["text_Y"]) >= first.total() // 5


def test_each_prompt_once_before_any_comes_again_and_equal_texts_never(serve: Serve, store: Store) -> None:
    server, seen = watched(serve)
    pairs = [
        pair_of(f"prompt {number}", f"alpha {sample}", f"gamma {sample} {number}", sample) for number in range(6) for sample in range(3)
    ]
    pairs += [pair_of(f"dull {number}", "same text", "same text") for number in range(20)]
    labeller(server, store, calls=1, pairs_shown=8).propose([Site("s", tuple(pairs))], 1)
    shown = Counter(texts_shown(seen[0], "prompt"))
    assert shown.total() == 8
    assert len(shown) == 6
    assert max(shown.values()) == 2
    assert not any("dull" in prompt for prompt in shown)


def test_the_pairs_of_a_prompt_stay_together(serve: Serve, store: Store) -> None:
    server, seen = watched(serve)
    pairs = tuple(pair_of(f"prompt {number}", f"left {number}", f"right {number}") for number in range(9))
    labeller(server, store, calls=1, pairs_shown=5).propose([Site("s", pairs)], 1)
    for prompt, x, y in zip(*(texts_shown(seen[0], name) for name in ("prompt", "text_X", "text_Y")), strict=True):
        assert {text.split()[1] for text in (prompt, x, y)} == {prompt.split()[1]}
        assert {x.split()[0], y.split()[0]} == {"left", "right"}


def test_hints_are_told_in_terms_of_x_and_y(serve: Serve, store: Store) -> None:
    server, seen = watched(serve)
    hints = (
        Hypothesis("mentions “lighthouse”", {"kind": "phrase"}, "intervention", "lexical", 1, (0.031, 0.2)),
        Hypothesis("mentions “lantern”", {"kind": "phrase"}, "base", "lexical", 1, (0.4, 0.0)),
    )
    sites = [site(f"place {number}", hints, intervention=["lighthouse"], seed=number) for number in range(8)]
    labeller(server, store, calls=8).propose(sites, 1)
    told_either_way = set()
    for question in [question for question in seen if kind_of(question) == "propose"]:
        x_is_base = "lighthouse" in " ".join(texts_shown(question, "text_Y"))
        lighthouse, lantern = items_of(fence_of(question, "counts") or "")
        assert lighthouse == f"{'Y' if x_is_base else 'X'} more often: mentions “lighthouse” " + (
            "(X 3.1%, Y 20%)" if x_is_base else "(X 20%, Y 3.1%)"
        )
        assert lantern == f"{'X' if x_is_base else 'Y'} more often: mentions “lantern” " + (
            "(X 40%, Y 0%)" if x_is_base else "(X 0%, Y 40%)"
        )
        told_either_way.add(x_is_base)
    assert told_either_way == {True, False}


def test_the_instruction_is_told_outside_the_fences(serve: Serve, store: Store) -> None:
    server, seen = watched(serve)
    labeller(server, store, calls=1, instruction="Look for tone only.", sentences=3).propose([site(intervention=["beacon"])], 1)
    outside = read_fences(seen[0].messages[-1][1])[1]
    assert "What to look for: Look for tone only." in outside
    assert "Name up to 3 differences" in outside


def test_later_waves_know_what_the_earlier_ones_found(serve: Serve, store: Store) -> None:
    planted = ["anchor", "beacon", "copper", "desert", "ember", "fossil"]
    server, seen = watched(serve)
    found = labeller(server, store, calls=6, sentences=2, pairs_shown=20).propose([site(intervention=planted, count=20, share=1.0)], 1)
    assert told(found) == {f'mentions "{word}"': "intervention" for word in planted}
    asked = [question for question in seen if kind_of(question) == "propose"]
    known = [items_of(fence_of(question, "known") or "") for question in asked]
    assert [len(sentences) for sentences in known] == [0, 2, 4, 6], "the fourth finds nothing, and all pairs were shown: no fifth"
    assert fence_of(asked[0], "themes") is None
    assert items_of(fence_of(asked[1], "themes") or "") == ["wording"]


def test_calls_and_sentences_are_limited(serve: Serve, store: Store) -> None:
    numbers = iter(range(1000))
    server, seen = watched(serve, lambda question: says(*(f'mentions "thing{next(numbers)}"' for _ in range(5)))(question))
    sites = [site(f"place {number}", intervention=["lighthouse"], seed=number) for number in range(30)]
    mine = labeller(server, store, calls=7, limit=18)
    found = mine.propose(sites, 1)
    proposing = [question for question in seen if kind_of(question) == "propose"]
    assert len(proposing) == 4, "the first wave of four calls brought 20 sentences, more than the limit"
    assert (len(found), mine.counts.proposed, mine.counts.dropped) == (18, 18, 2)
    more = labeller(server, store, seed=1, calls=7, limit=200)
    assert len(more.propose(sites, 1)) == 35
    assert more.counts.calls == 7
    assert more.propose(sites, 2) == (), "the calls of one labeller are used up"


def test_a_second_round_does_not_repeat_the_first(serve: Serve, store: Store) -> None:
    server, _ = watched(serve)
    mine = labeller(server, store, calls=8, sentences=1)
    first = mine.propose([site(intervention=["lighthouse"])], 1)
    second = mine.propose([site("other", intervention=["lighthouse", "anchor"], seed=1)], 2)
    assert (told(first), told(second)) == ({'mentions "lighthouse"': "intervention"}, {'mentions "anchor"': "intervention"})
    assert {one.born_round for one in second} == {2}


def test_nothing_found_is_an_answer(serve: Serve, store: Store) -> None:
    server, seen = watched(serve)
    mine = labeller(server, store)
    equal = tuple(pair_of(f"prompt {number}", "the same", "the same") for number in range(9))
    assert mine.propose([], 1) == mine.propose([Site("s", equal)], 1) == ()
    assert seen == [], "there was nothing to show"
    strict = serve(models={"m": word_labeller(least=0.9)})
    silent = labeller(strict, store, calls=8)
    assert silent.propose([Site("s", pairs_with(count=40, seed=5))], 1) == ()
    assert silent.counts.as_dict() == {"calls": 2, "failed": 0, "proposed": 0, "split": 0, "merged": 0, "refused": {}, "dropped": 0}


def test_the_same_seed_asks_the_same_and_the_store_has_it(serve: Serve, store: Store) -> None:
    server, _ = watched(serve)
    sites = [site(f"place {number}", base=["lantern"], intervention=["beacon", "anchor"], count=40, seed=number) for number in range(3)]
    first = labeller(server, store, seed=4).propose(sites, 1)
    asked = len(server.calls)
    turned = [Site(one.name, one.pairs[::-1], one.hints) for one in sites]
    again = labeller(server, store, seed=4)
    assert again.propose(turned, 1) == first, "nor does the order of the pairs that it is given matter"
    assert len(server.calls) == asked
    assert again._asker.counts.calls == 0  # pyright: ignore[reportPrivateUsage]
    labeller(server, store, seed=5).propose(sites, 1)
    assert len(server.calls) > asked


def test_a_server_started_by_hand_has_a_labeller(store: Store) -> None:
    command = [sys.executable, "-m", "tests.llm.server", "--labeller", "m=0.6"]
    process = subprocess.Popen(command, cwd=Path(__file__).resolve().parents[2], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        settings = ChatConfig(base_url=f"http://127.0.0.1:{int(process.stdout.readline())}", price=PRICE)
        asked = Asker(open_chat("gemini:m", settings), store, settings)
        found = Labeller(asked, HypothesesConfig(calls=1), encode, 0).propose([site(intervention=["lighthouse"])], 1)
        assert told(found) == {'mentions "lighthouse"': "intervention"}
    finally:
        process.kill()
        process.wait()
