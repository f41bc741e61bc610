"""Would counting words do as well? A bag-of-words baseline on the very pairs on which a sentence was judged.

Formula.  With c(text) the vector of log(1 + count of each word), a logistic regression without intercept on c(intervention) − c(base) of
explored pairs gives a weight w to each word; of a confirm pair it says "the left text is the intervention's" where w·c(left) > w·c(right).
A sentence says the same where its score is higher, in the finding's direction. For both,

    accuracy = share of pairs told apart rightly, ties half;     AUC = P(score of an intervention text > score of a base text), ties half,

the first within pairs, the second over all texts. **Does the sentence add anything?** Hard pairs are those on which the baseline is wrong
or has less than 60% on the right side. A sentence that says no more than words do earns nothing there: where the words lean the wrong
way it leans with them. It adds something where its mean payoff on hard pairs, in the finding's direction, is above 0: the lower end of
a confidence sequence over prompts.

What it says: whether this finding could have been had by counting words. What it does not: that it should have been; a sentence says in
a line what the baseline hides in thousands of weights. The baseline learns on explored pairs only, which chose the sentence too; neither
has seen the confirm pairs. A baseline that learned from few pairs is weak, and easy to add to.

Edge cases.  Fewer than 20 explored pairs, or no word in them: not available. No hard pairs: nothing can be added, `adds` is false.

Sources: Zhong et al. 2022, "Describing differences between text distributions with natural language", ICML, arXiv:2201.12323 (the
comparison with a bag of words); Waudby-Smith & Ramdas 2023 (`inference.intervals`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from scipy.special import expit

from auto_interventions.examining.by_prompt import means, numbered
from auto_interventions.fingerprint import generator
from auto_interventions.inference.intervals import confidence_sequence
from auto_interventions.records import Direction, FloatArray, FloatMatrix, IntArray, Pair

_AT_LEAST = 20  # explored pairs
_AT_MOST = 20_000  # of which more pairs than this teach little more
_WORDS = 20_000
_SURE = 0.6  # the baseline's probability for the right side, below which a pair is hard
_STRENGTHS = (0.01, 0.1, 1.0)  # inverse regularisation, chosen by cross-validation over prompts
_FOLDS = 4
_TOKEN = r"(?u)\b\w+\b"


def learn_words(explored: Sequence[Pair], seed: int = 0) -> BagOfWords | str:
    """The baseline that `explored` pairs teach; or why there is none.

    Args:
        explored: pairs of the explore pool.
        seed: chooses among very many pairs, and the folds.
    """
    try:
        return BagOfWords(explored, seed)
    except ValueError as error:
        return str(error)


class BagOfWords:
    """Words that tell the intervention's texts from the base's, learned from explored pairs."""

    def __init__(self, explored: Sequence[Pair], seed: int = 0) -> None:
        """See `learn_words`.

        Raises:
            ValueError: too few pairs, or no word in them; the message is for people.
        """
        if len(explored) < _AT_LEAST:
            raise ValueError(f"{len(explored)} explored pairs are too few to learn words from")
        self._prompts = {pair.prompt.id for pair in explored}
        random = generator("examine", "baseline", seed)
        pairs = list(explored)
        if len(pairs) > _AT_MOST:
            pairs = [pairs[place] for place in np.sort(random.choice(len(pairs), _AT_MOST, replace=False)).tolist()]
        self._learn(pairs, random)
        self._scores: dict[str, float] = {}

    def _learn(self, pairs: list[Pair], random: np.random.Generator) -> None:
        # scikit-learn takes a second to load.
        from sklearn.feature_extraction.text import CountVectorizer

        self._counter: Any = CountVectorizer(token_pattern=_TOKEN, max_features=_WORDS, min_df=2)
        try:
            self._counter.fit([text for pair in pairs for text in (pair.base.text, pair.intervention.text)])
        except ValueError:  # an empty vocabulary
            raise ValueError("the explored texts share no words") from None
        differences = self._counts([pair.intervention.text for pair in pairs]) - self._counts([pair.base.text for pair in pairs])
        # Without an intercept, a pair and its mirror image say the same: half of them are mirrored, so that there are two classes.
        signs = np.where(np.arange(len(pairs)) % 2 == 0, 1.0, -1.0)
        rows = csr_matrix(differences.multiply(signs[:, None]))
        prompts = numbered(pairs)
        folds = random.integers(_FOLDS, size=int(prompts.max()) + 1)[prompts]
        losses = [self._loss(rows, signs, folds, strength) for strength in _STRENGTHS]
        self._weights = _fit(rows, signs, _STRENGTHS[int(np.argmin(losses))])

    def _loss(self, rows: csr_matrix, signs: FloatArray, folds: IntArray, strength: float) -> float:
        """Mean log-loss on prompts that were left out."""
        loss = 0.0
        for fold in range(_FOLDS):
            inside, outside = folds != fold, folds == fold
            if outside.any() and len(set(signs[inside].tolist())) == 2:
                weights = _fit(rows[inside], signs[inside], strength)
                loss += float(np.logaddexp(0.0, -signs[outside] * (rows[outside] @ weights)).sum())
        return loss / len(signs)

    def scores(self, texts: Sequence[str]) -> FloatArray:
        """(n,) how much each text looks like the intervention's, in log-odds. Each text is read once: all findings share the pairs."""
        fresh = [text for text in dict.fromkeys(texts) if text not in self._scores]
        if fresh:
            self._scores.update(zip(fresh, np.asarray(self._counts(fresh) @ self._weights).tolist(), strict=True))
        return np.array([self._scores[text] for text in texts], dtype=np.float64)

    def knows(self, pairs: Sequence[Pair]) -> bool:
        """Whether one of `pairs` has a prompt that it learned on."""
        return any(pair.prompt.id in self._prompts for pair in pairs)

    def words(self, count: int = 5) -> dict[str, list[str]]:
        """The words that speak most for either side."""
        names = self._counter.get_feature_names_out()
        order = np.argsort(self._weights, kind="stable")
        more = [str(names[place]) for place in order[::-1][:count] if self._weights[place] > 0]
        return {"intervention": more, "base": [str(names[place]) for place in order[:count] if self._weights[place] < 0]}

    def _counts(self, texts: Sequence[str]) -> csr_matrix:
        counts = csr_matrix(self._counter.transform(texts), dtype=np.float64)
        counts.data = np.log1p(counts.data)
        return counts


def beside_words(
    bag: BagOfWords | str,
    pairs: Sequence[Pair],
    base: FloatArray | FloatMatrix,
    intervention: FloatArray | FloatMatrix,
    more_in: Direction,
    alpha: float,
) -> dict[str, object]:
    """One finding beside the baseline, for `Finding.beside`.

    Args:
        bag: from `learn_words`.
        pairs: n confirm pairs.
        base, intervention: (n,) the sentence's scores in [0, 1]; NaN = not judged.
        more_in: the finding's direction.
        alpha: 1 − coverage of the interval.

    Returns:
        `pairs`; `accuracy` and `auc`, each of `bag_of_words` and `sentence`; `hard_pairs`, `hard_prompts`, `payoff_on_hard` and `interval`
        (None where there is no hard pair); `adds`; `words`, those that the baseline goes by. Or `not_available`, with the reason.

    Raises:
        ValueError: arrays that do not fit the pairs, or pairs whose prompts the baseline learned on.
    """
    if not len(pairs) == len(base) == len(intervention):
        raise ValueError(f"{len(pairs)} pairs need as many scores, not {len(base)} and {len(intervention)}")
    if isinstance(bag, str):
        return {"not_available": bag}
    judged = np.flatnonzero(~(np.isnan(base) | np.isnan(intervention)))
    own = [pairs[place] for place in judged.tolist()]
    if bag.knows(own):
        raise ValueError("the baseline may not be tried on prompts that it learned on")
    if not own:
        return {"not_available": "no pair was judged"}
    before, after = np.asarray(base, dtype=np.float64)[judged], np.asarray(intervention, dtype=np.float64)[judged]
    if more_in == "base":
        before, after = -before, -after
    words = bag.scores([pair.base.text for pair in own]), bag.scores([pair.intervention.text for pair in own])
    payoffs = np.clip(after - before, -1.0, 1.0)
    hard = expit(words[1] - words[0]) < _SURE
    by_prompt = means(payoffs[hard], numbered(own)[hard])
    lo, hi = confidence_sequence(by_prompt, -1, 1, alpha, planned=max(len(by_prompt), 1))
    return {
        "pairs": len(own),
        "accuracy": {"bag_of_words": _accuracy(words[1] - words[0]), "sentence": _accuracy(payoffs)},
        "auc": {"bag_of_words": _auc(*words), "sentence": _auc(before, after)},
        "hard_pairs": int(hard.sum()),
        "hard_prompts": len(by_prompt),
        "payoff_on_hard": float(by_prompt.mean()) if len(by_prompt) else None,
        "interval": [lo, hi] if len(by_prompt) else None,
        "adds": bool(len(by_prompt) and lo > 0),
        "words": bag.words(),
    }


def _fit(rows: csr_matrix, signs: FloatArray, strength: float) -> FloatArray:
    from sklearn.linear_model import LogisticRegression

    model: Any = LogisticRegression(C=strength, fit_intercept=False, max_iter=200, tol=1e-3)
    return np.asarray(model.fit(rows, signs).coef_[0], dtype=np.float64)


def _accuracy(margins: FloatArray) -> float:
    """Share above 0, zeros half."""
    return float(0.5 + np.sign(np.round(margins, 12)).mean() / 2)


def _auc(before: FloatArray, after: FloatArray) -> float:
    """P(after > before) for texts of any two pairs, ties half."""
    from scipy.stats import rankdata

    ranks = rankdata(np.concatenate([before, after]))
    return float((ranks[len(before) :].mean() - (len(after) + 1) / 2) / len(before))
