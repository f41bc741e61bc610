"""Where confirming looks, besides everywhere: focused pairs, and what a sentence starts with.

The *backbone* of confirming is a random order of the confirm pool's prompts: it carries the sizes of effects. *Focused* pairs are drawn
in the strata where undecided sentences gain most: they carry evidence. Any rule that looks at the past only keeps the e-values valid, for
under the null the two texts of a pair are exchangeable at whatever prompt.

Votes.  Explored and confirmed pairs together say in which strata sentence h holds (`places.locate`: a posterior, not a choice), and so
how many nats a pair, G_hs, are to be expected in stratum s. A sentence votes for the strata in proportion to their prompts × G². Votes are
weighed by belief × (nats a pair) / (nats still needed): pairs go where decisions are cheapest. Belief is what exploring showed, less what
the best of so many candidates shows by chance, and how it fared on fresh pairs since (`beliefs_of`): the e-value, or what
`places.recurrence` says if that is less, as a phrase of chance that never came up again has lost no bet, and would keep its vote for ever.
Sentences that the pairs left could not decide do not vote. If the vote is hardly better than looking everywhere (`WORTH`), nothing is
focused.

Reach.  A sentence whose average over all prompts is small may still differ where it holds. While fresh pairs have not disowned it, and
what it pays there would validate it with the pairs left, it is not given up (`reach_in_places`).

Stakes.  What exploring showed of a sentence is past when confirming begins, so it may choose its share of the error budget and where on
the grid of stakes its capital lies (compound e-values, Ignatiadis, Wang & Ramdas 2024, arXiv:2409.19812; weighted e-BH, Wang & Ramdas
2022). And what was seen before a round may choose how much of its stake a sentence bets in which stratum (`local_stakes`): one that is
true in a few strata would lose in all others what it won there."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import softmax

from auto_interventions.inference.betting import betting_grid
from auto_interventions.inference.places import SELECTED, Places, locate, recurrence
from auto_interventions.records import BoolArray, FloatArray, Hypothesis

FOCUSED = 2 / 3  # of a round, while focusing pays
WORTH = 1.5  # times the gain everywhere
PROMISING = 3.0  # nats beyond what the best of so many candidates has by chance: asked every round, 1 nat is soon had by some
_GIVEN_UP = -2.0  # nats: a sentence is not believed any more
_LEAST_GAIN = 1e-9  # nats a pair
_HOPE = 0.5  # of the nats that are needed must be within reach
_UNBELIEVED = 50.0  # nats: less belief than this underflows
_EVEN = 0.3  # of the error budget is shared evenly, whatever exploring showed
WORD_CANDIDATES = 1000.0  # words and phrases that a proposal had to beat
FORM_CANDIDATES = 60.0  # measures of form, of which there are no more
_FORM = ("format", "refusal", "language")  # sources of sentences about form
_READ_CANDIDATES = 20.0  # where a language model proposed it
_REVERSED = 0.15  # of the capital bets against the direction that exploring showed
_FORWARD_EVEN = 0.2


def judged_by_model(hypotheses: Sequence[Hypothesis]) -> BoolArray:
    """(H,) which sentences only a language model can judge."""
    return np.array([hypothesis.check is None for hypothesis in hypotheses], dtype=np.bool_)


def shares_of(hypotheses: Sequence[Hypothesis]) -> FloatArray:
    """(H,) shares of the error budget by what exploring showed: in part even, the rest in proportion to the odds min(1, exp(evidence) / K).

    K is how many candidates a proposal had to beat: 1000 words and phrases, but 60 measures of form.

    Where some sentences have a check and others need a language model, each kind gets half: lexical ones were counted on all explored
    pairs, the others judged on a few, and must not starve beside them. The others' rest goes by K = 20, few as they are, and the user's
    own count fully.

    >>> from dataclasses import replace
    >>> plain = Hypothesis("a", {}, "base", "lexical", 0)
    >>> shares_of([plain, replace(plain, statement="b", evidence=20.0)]).round(2)
    array([0.15, 0.85])
    >>> read = replace(plain, check=None, source="labeller")
    >>> shares_of([plain, read, replace(read, statement="b", evidence=2.0), replace(read, statement="c", source="own")]).round(2)
    array([0.5 , 0.06, 0.14, 0.3 ])
    """
    by_model = judged_by_model(hypotheses)
    odds = np.exp(_log_odds(hypotheses))
    shares = np.zeros(len(hypotheses))
    kinds = [kind for kind in (~by_model, by_model) if kind.any()]
    for kind in kinds:
        held = _EVEN / int(kind.sum()) + (1 - _EVEN) * odds[kind] / max(odds[kind].sum(), 1e-300)
        shares[kind] = held / len(kinds)
    return shares


def beliefs_of(hypotheses: Sequence[Hypothesis], support: FloatArray, shares: FloatArray) -> FloatArray:
    """(H,) how much the votes weigh, adding up to 1.

    Sentences with a check together as much as their `shares` (H,), among them by the odds that exploring left them × the support (nats,
    (H,)) that confirming gave them since. Those that language models judge by their shares: of few verdicts, and a cheap judge's, too many
    would be disowned by the first.
    """
    beliefs = shares.copy()
    checks = ~judged_by_model(hypotheses)
    believed = np.exp(np.clip(_log_odds(hypotheses) + support, -_UNBELIEVED, 0.0))[checks]
    beliefs[checks] = shares[checks].sum() * believed / max(float(believed.sum()), 1e-300)
    return beliefs


def support_of(hypotheses: Sequence[Hypothesis], log_e: FloatArray, explored: FloatArray, seen: FloatArray) -> FloatArray:
    """(H,) nats by which fresh pairs speak for each sentence: its log e-value, or what `recurrence` says where that is less.

    Of sentences that language models judge, the log e-value: their payoffs are no counts.

    Args:
        explored, seen: (H, S, 3) number, sum and sum of squares of payoffs by stratum, of exploring, and of all pairs so far.
    """
    again = recurrence(explored, seen - explored, _directions(hypotheses))
    return np.where(judged_by_model(hypotheses), log_e, np.minimum(log_e, again))


def _log_odds(hypotheses: Sequence[Hypothesis]) -> FloatArray:
    """(H,) ≤ 0: the evidence of exploring less what the best of so many candidates would have by chance; 0 for the user's own where no
    evidence could be counted."""
    kinds = (_log_candidates(hypothesis) for hypothesis in hypotheses)
    return np.array([min(0.0, hypothesis.evidence - chosen) for hypothesis, chosen in zip(hypotheses, kinds, strict=True)])


def _log_candidates(hypothesis: Hypothesis) -> float:
    if hypothesis.check is None:
        return -math.inf if hypothesis.source == "own" else math.log(_READ_CANDIDATES)
    return math.log(FORM_CANDIDATES if hypothesis.source in _FORM else WORD_CANDIDATES)


def starting_wealth(hypotheses: Sequence[Hypothesis], explored: FloatArray) -> FloatArray:
    """(H, K) log-capital, each row adding up to 1: most of it in the explored direction, on the stakes λ by how likely they make what was
    explored, (1 + λ)^won (1 − λ)^lost, of half of the pairs that paid (`SELECTED`).

    `explored`: (H, 3) number, sum and sum of squares of the payoffs while exploring; no payoffs give the even grid.
    """
    grid = betting_grid(two_sided=True)
    wealth = np.full((len(hypotheses), len(grid)), 1 / len(grid))
    for row, sign in enumerate(_directions(hypotheses).tolist()):
        count, total, squares = explored[row]
        if not count:
            continue
        won, lost = (SELECTED * (squares + side * total) / 2 for side in (sign, -sign))
        forward = grid * sign > 0
        likely = softmax(np.where(forward, won * np.log1p(np.abs(grid)) + lost * np.log1p(-np.abs(grid)), -np.inf))
        wealth[row] = np.where(forward, (1 - _REVERSED) * _FORWARD_EVEN, _REVERSED) / (len(grid) / 2)
        wealth[row] += (1 - _REVERSED) * (1 - _FORWARD_EVEN) * likely
    return np.log(wealth)


def local_stakes(seen: FloatArray) -> FloatArray:
    """(H, S) in [0, 1]: how much of its stake each sentence should bet in each stratum, 1 where most.

    In proportion to mean / second moment of what it is believed to pay there, in the direction that it leans to, but nowhere less than the
    square of those of all strata together: alike everywhere until strata are seen to differ, and where nothing is ever lost.

    `seen`: (H, S, 3) number, sum and sum of squares of each sentence's payoffs in each stratum.
    """
    places, whole = locate(seen, _leaning(seen)), seen.sum(axis=1)
    least = (whole[:, 1] / np.maximum(whole[:, 2], 1e-12)) ** 2
    stakes = np.clip(np.maximum(places.mean / places.second, least[:, None]), 0.0, 1.0)
    most = stakes.max(axis=1, keepdims=True, initial=0.0)
    return np.where(most > 0, stakes / np.maximum(most, 1e-12), 1.0)


def focus_of(
    seen: FloatArray,
    sizes: FloatArray,
    needed: FloatArray,
    beliefs: FloatArray,
    pairs_left: int,
    graded: BoolArray | None = None,
) -> FloatArray | None:
    """(S,) how focused pairs should be spread over the strata; None if focusing would not pay.

    Args:
        seen: (H, S, 3) number, sum and sum of squares of each sentence's payoffs in each stratum.
        sizes: (S,) prompts of the pool in each stratum.
        needed: (H,) nats that each sentence still needs; ≤ 0 = decided.
        beliefs: (H,) see `beliefs_of`.
        pairs_left: pairs that the budget still allows.
        graded: (H,) whose payoffs lie anywhere in [−1, 1], as language models judge; None: none.
    """
    population = sizes / sizes.sum()
    votes, gains = _votes(locate(seen, _leaning(seen), graded), population)
    undecided = (needed > 0) & (gains.max(axis=1, initial=0.0) * pairs_left >= _HOPE * needed)
    if not undecided.any():
        return None
    votes, gains, needed, beliefs = votes[undecided], gains[undecided], needed[undecided], beliefs[undecided]
    weight = beliefs * (votes * gains).sum(axis=1) / needed
    weight /= weight.sum()
    focus = np.asarray(weight @ votes, dtype=np.float64)
    return focus if weight @ (gains @ focus) > WORTH * (weight @ (gains @ population)) else None


def reach_in_places(
    hypotheses: Sequence[Hypothesis],
    support: FloatArray,
    seen: FloatArray,
    sizes: FloatArray,
    needed: FloatArray,
    pairs_left: int,
    smallest: float,
) -> BoolArray:
    """(H,) which sentences with a check differ by `smallest` or more where they hold, as far as they are to be believed, and would be
    validated if the pairs left went there.

    Believed are those with hardly less evidence, explored and since (`support`, (H,), of `support_of`), than the best of so many
    candidates has by chance. Other arguments as in `focus_of`.
    """
    believed = (_log_odds(hypotheses) + support >= _GIVEN_UP) & ~judged_by_model(hypotheses)
    places = locate(seen, _leaning(seen))
    votes, gains = _votes(places, sizes / sizes.sum())
    reached = (needed > 0) & ((votes * gains).sum(axis=1) * pairs_left >= needed)
    return believed & reached & ((votes * places.mean).sum(axis=1) >= smallest)


def _votes(places: Places, population: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(H, S) where each sentence wants the next pair, each row adding up to 1, and nats a pair there."""
    gains = np.maximum(places.growth, _LEAST_GAIN)
    votes = population * gains**2
    return votes / votes.sum(axis=1, keepdims=True), gains


def _directions(hypotheses: Sequence[Hypothesis]) -> FloatArray:
    """(H,) +1 or −1: the side that exploring showed more."""
    return np.array([1.0 if one.more_in == "intervention" else -1.0 for one in hypotheses])


def _leaning(seen: FloatArray) -> FloatArray:
    """(H,) +1 or −1: the side on which each sentence has paid more."""
    return np.where(seen[..., 1].sum(axis=1) < 0, -1.0, 1.0)
