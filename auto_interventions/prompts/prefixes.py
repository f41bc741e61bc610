"""Prompts made of the beginnings of texts: mined where the bank runs dry, or a whole bank for base models that have none.

A mined prompt is a prompt of the explore pool and the first words of one of its texts: both models go on from there. The prefix is
common to both, so it is no evidence; only what follows it is. Mining looks at past texts alone and only later pairs bet on what it finds,
so it may be as greedy as it likes (the bets' null, "the models agree at this prompt", is then also said of the mined prompts).
What it must not do is meet the confirm pool: it takes nothing from there, adds nothing to it, and makes no prompt that reads like one
of it.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from auto_interventions.prompts.duplicates import WORD, distinct, plain_words
from auto_interventions.records import FloatArray, IntArray, Pair, Prompt

# Of a prompt's pairs so many come before the other prompts' turn.
_PAIRS_PER_PROMPT = 2


def beginning(text: str, words: int) -> str:
    """The first `words` words of `text` with all that stands before and between them, but at most half of its words, so that something
    is left to say; "" for a text of fewer than two words. It ends with a word's last character: the space after it belongs to the next
    word's token.

    >>> beginning(" One day a little otter  went to the river.", 4)
    ' One day a little'
    """
    ends = [match.end() for match in WORD.finditer(text) if not _is_mark(text[match.end() : match.end() + 1])]
    wanted = min(words, len(ends) // 2)
    return text[: ends[wanted - 1]] if wanted else ""


def free_prompts(texts: Iterable[str], words: int) -> list[Prompt]:
    """The distinct beginnings of texts that were written from nothing, as prompts, in the order of the texts."""
    return distinct([Prompt(start) for text in texts if (start := beginning(text, words)).strip()], lambda prompt: prompt.whole)


def mine_prefixes(
    pairs: Sequence[Pair], scores: FloatArray, strata: IntArray, wanted: Mapping[int, int], words: int, bank: Sequence[Prompt]
) -> dict[int, tuple[Prompt, ...]]:
    """New prompts for the explore pool: beginnings of the texts of the most telling pairs.

    Args:
        pairs: explored pairs, n.
        scores: (n,) how clearly each pair's texts can be told apart by what follows their beginnings; pairs of 0 or less are left out.
        strata: (n,) number of each pair's stratum.
        wanted: how many prompts each stratum is to get; other strata get none.
        words: length of a prefix; a prompt that has one already gets a longer one.
        bank: all prompts, of both pools. What reads like one of them, but for case, white space and punctuation, is left out.

    Returns:
        By stratum distinct prompts, the most telling first: of each pair a beginning of the intervention's text and one of the base's; of
        each prompt its two best pairs before the rest of them. Fewer than wanted where the pairs do not hold more.

    Raises:
        ValueError: a pair of the confirm pool, or not one score and one stratum a pair.
    """
    if not len(scores) == len(strata) == len(pairs):
        raise ValueError(f"{len(pairs)} pairs need one score and one stratum each, not {len(scores)} and {len(strata)}")
    if any(pair.prompt.pool != "explore" for pair in pairs):
        raise ValueError("prefixes are mined from explored pairs only: the confirm pool stays untouched")
    seen = {plain_words(prompt.whole) for prompt in bank}
    mined: dict[int, list[Prompt]] = {stratum: [] for stratum in wanted}
    for place in _most_telling_first(pairs, scores):
        pair, stratum = pairs[place], int(strata[place])
        for text in (pair.intervention.text, pair.base.text):
            start = beginning(text, words)
            prompt = replace(pair.prompt, prefix=pair.prompt.prefix + start)
            plain = plain_words(prompt.whole)
            if start.strip() and len(mined.get(stratum, ())) < wanted.get(stratum, 0) and plain not in seen:
                seen.add(plain)
                mined[stratum].append(prompt)
    return {stratum: tuple(prompts) for stratum, prompts in mined.items()}


def _most_telling_first(pairs: Sequence[Pair], scores: FloatArray) -> list[int]:
    """Places of the pairs by score, equal ones by id; of each prompt `_PAIRS_PER_PROMPT` pairs a turn."""
    order = sorted((place for place in range(len(pairs)) if scores[place] > 0), key=lambda place: (-scores[place], pairs[place].base.id))
    rank: Counter[str] = Counter()
    turns: list[tuple[int, int]] = []
    for place in order:
        turns.append((rank[pairs[place].prompt.id] // _PAIRS_PER_PROMPT, place))
        rank[pairs[place].prompt.id] += 1
    return [place for _, place in sorted(turns, key=lambda turn: turn[0])]


def _is_mark(character: str) -> bool:
    """An accent or vowel sign, which belongs to the character before it."""
    return character != "" and unicodedata.category(character).startswith("M")
