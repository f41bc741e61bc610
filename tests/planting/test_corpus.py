"""The grammar: the same seed gives the same stories, and they differ as texts do."""

import itertools
import re
from collections import Counter

from auto_interventions.planting.corpus import prompt_bank, stories, topics


def test_the_same_seed_gives_the_same_stories_and_another_seed_others():
    first, same, other = (list(stories(50, seed)) for seed in (3, 3, 4))
    assert first == same
    assert not {story.text for story in first} & {story.text for story in other}


def test_a_longer_corpus_begins_with_the_shorter_one():
    assert list(stories(40, 0)) == list(itertools.islice(stories(400, 0), 40))


def test_stories_are_varied_and_short():
    texts = [story.text for story in stories(4000, 0)]
    assert len(set(texts)) > 3990
    lengths = [len(story.continuation.split()) for story in stories(4000, 0)]
    assert min(lengths) >= 12
    assert max(lengths) <= 48
    # Natural variation: some shout, quote, and a few break lines; most do not.
    for mark, least, most in (("!", 0.2, 0.8), ('"', 0.2, 0.8), ("\n", 0.005, 0.05), ("The end.", 0.02, 0.1), ("moral", 0.005, 0.03)):
        assert least < sum(mark in text for text in texts) / len(texts) < most, mark


def test_no_template_is_left_unfilled_and_articles_fit():
    for story in stories(4000, 1):
        assert not re.search(r"[\[\]{}|]|  ", story.text), story.text
        assert not re.search(r"\b[Aa] [aeiou]", story.text), story.text
        assert story.opening[-1] == "."
        assert story.continuation[0] in " \n"


def test_a_story_keeps_its_object():
    with_object = [story for story in stories(2000, 2) if re.search(r"\bhad a \w+ (\w+) from", story.opening)]
    assert len(with_object) > 20
    for story in with_object:
        thing = re.search(r"\b(?:had) a \w+ (\w+) from", story.opening).group(1)
        others = set(re.findall(r"(?:took|lost|found|forgot|dropped) the (\w+)", story.continuation))
        assert others <= {thing}, story.text


def test_the_bank_is_distinct_balanced_and_stable():
    bank = prompt_bank(1600, 0)
    assert len({" ".join(prompt.text.lower().split()) for prompt in bank}) == 1600
    assert Counter(prompt.stratum for prompt in bank) == dict.fromkeys(topics(), 200)
    assert prompt_bank(1600, 0) == bank
    assert len({prompt.text for prompt in bank} & {prompt.text for prompt in prompt_bank(1600, 1)}) < 80
