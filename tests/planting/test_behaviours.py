"""Rules of rewriting: only what the rule says changes, as often as it says, where it says."""

import pytest

from auto_interventions.planting.behaviours import Behaviour, rewritten, sentences_of
from auto_interventions.planting.corpus import stories
from auto_interventions.records import Prompt

LINES = {"kind": "measure", "feature": "line_breaks", "at_least": 2}


def behaviour(kind="append", check=None, share=1.0, strata=(), **rule):
    if kind in ("append", "insert"):
        rule.setdefault("sentences", ["The moral is to be [kind|brave]."])
    check = check or {"kind": "phrase", "phrases": ["moral"]}
    rule["kind"] = kind
    return Behaviour.model_validate(
        {"id": kind, "kind": "broad", "description": "x", "share": share, "strata": strata, "rule": rule, "check": check}
    )


def test_sentences_end_where_a_reader_ends_them():
    text = ' He ran. "Look!" he said. Oh no! It said, "Be careful!" The end.'
    assert sentences_of(text) == ["He ran.", '"Look!" he said.', "Oh no!", 'It said, "Be careful!"', "The end."]
    assert sentences_of("") == []
    assert sentences_of("no full stop") == ["no full stop"]


def test_append_puts_its_sentence_last_and_keeps_the_rest():
    text = " He ran. He fell."
    new = rewritten(text, Prompt("p"), 0, [behaviour()], 0)
    assert new in (text + " The moral is to be kind.", text + " The moral is to be brave.")


def test_insert_puts_its_sentence_before_the_last():
    for sample in range(20):
        sentences = sentences_of(rewritten(" One. Two. Three.", Prompt("p"), sample, [behaviour("insert")], 0))
        assert len(sentences) == 4
        assert sentences[-1] == "Three."


def test_lines_change_no_word():
    rule = behaviour("lines", check=LINES)
    for story in stories(300, 0):
        new = rewritten(story.continuation, Prompt(story.opening), 0, [rule], 0)
        assert new.split() == story.continuation.split()
        assert new.startswith("\n")
        assert rule.predicate.holds(new)


def test_replace_changes_whole_words_only():
    rule = behaviour("replace", words={"cat": "dog"}, check={"kind": "phrase", "phrases": ["dog"]})
    assert rewritten(" The cat saw a catfish.", Prompt("p"), 0, [rule], 0) == " The dog saw a catfish."


def test_the_share_is_kept_and_coins_are_independent():
    first = behaviour("append", share=0.4)
    second = behaviour("lines", share=0.5, check=LINES)
    texts = [rewritten(" A b. C d. E f.", Prompt(f"p{number}"), 0, [first, second], 0) for number in range(4000)]
    moral = [first.predicate.holds(text) for text in texts]
    lines = [second.predicate.holds(text) for text in texts]
    both = sum(a and b for a, b in zip(moral, lines, strict=True)) / 4000
    assert sum(moral) / 4000 == pytest.approx(0.4, abs=0.03)
    assert sum(lines) / 4000 == pytest.approx(0.5, abs=0.03)
    assert both == pytest.approx(0.2, abs=0.03)


def test_only_its_strata_change():
    rule = behaviour(strata=("sea",))
    assert rewritten(" A b.", Prompt("p", "forest"), 0, [rule], 0) == " A b."
    assert rule.predicate.holds(rewritten(" A b.", Prompt("p", "sea"), 0, [rule], 0))


def test_a_text_that_shows_it_already_is_left_alone():
    text = " A b. The moral is to rest."
    assert rewritten(text, Prompt("p"), 0, [behaviour()], 0) == text


def test_layout_goes_last_whatever_the_order():
    rules = [behaviour("lines", check=LINES), behaviour()]
    assert rewritten(" A b. C d.", Prompt("p"), 0, rules, 0).count("\n") == 3
