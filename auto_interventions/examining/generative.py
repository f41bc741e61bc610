"""Generative validation: does the changed model find texts that fit a finding likelier than the base model does?

Formula.  At each of n confirm prompts a language model, told the finding and shown one text as an example of length and manner, writes
two texts that are as alike as can be: one that fits the sentence and one that does not. With ℓ_m(t) model m's log-likelihood of text t
after the prompt, per token of t,

    x_i = [ℓ_int − ℓ_base](fits_i) − [ℓ_int − ℓ_base](does not fit_i),      in nats a token, with the other sign where the base has more.

What the two models think of the prompt, the topic and the manner is in both brackets and cancels. The test flips signs over prompts
(`inference.fixed`; x is scaled by its largest size, on which the test is conditional anyway); the interval of the mean is Student's.

What it says: the models themselves put more or less probability on what the sentence describes, seen on texts that neither wrote. What it
does not: how often they write such texts (the finding's rates do); and texts that fit may differ from those that do not in more than the
sentence (longer, odder): a labeller that writes badly matched texts bends it, so read some. It decides nothing.

Edge cases.  Identical models: every x is 0, p = 1. Fewer than 6 prompts cannot reach p = 0.05. Texts that are empty or alike, that do not
fit into a model's context, or that the labeller did not write are left out and counted. Recorded texts: not available.

Sources: Mitchell et al. 2023, "DetectGPT", ICML, arXiv:2301.11305 (perturbed texts, log-likelihood differences); Miller 2024,
arXiv:2411.00640 (paired differences over prompts); Fisher 1935 (sign flips)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, Field
from scipy.special import stdtrit

from auto_interventions.errors import SubjectError
from auto_interventions.examining.asking import request, unavailable, validated
from auto_interventions.fingerprint import generator
from auto_interventions.inference.fixed import paired_p_values
from auto_interventions.llm import ChatRequest, Failure, Outcome
from auto_interventions.llm.asking import Asker
from auto_interventions.llm.fences import cleaned, fenced, one_line
from auto_interventions.records import Finding, FloatArray, Pair, Prompt
from auto_interventions.subjects import Scorer, Subject

TEMPLATE = "examine/generative/v1"
_SHOWN = 1_000  # characters of the example
_PROMPT = 2_000
_TASK = """You write texts for an experiment with language models. You get a sentence that describes a text, a prompt, and an example of
what a language model wrote after that prompt.
Write two texts that could each stand in the example's place, directly after the prompt. Keep both close to the example in manner, topic and
length, and as alike to each other as you can. They differ in one thing: the sentence fits one of them and does not fit the other."""


class _Two(BaseModel):
    first: str = Field(description="the text that you are asked for first")
    second: str = Field(description="the other text")


@dataclass(frozen=True, slots=True)
class _Site:
    """Where two texts are written: `first_fits` is a coin."""

    prompt: Prompt
    example: str
    first_fits: bool


def validate_generatively(
    asker: Asker,
    findings: Sequence[Finding],
    pairs: Sequence[Pair],
    base: Subject,
    intervention: Subject,
    prompts: int,
    seed: int,
    alpha: float,
) -> dict[str, dict[str, object]]:
    """Each validated finding put to the models' own log-likelihoods, for `Finding.beside`.

    Args:
        asker: the labeller.
        findings: others than validated ones are left alone.
        pairs: confirm pairs, of whose prompts `prompts` are chosen by `seed` for each finding.
        base, intervention: the two sides; both must be `Scorer`s.
        prompts: how many; a call each.
        seed: chooses prompts, examples, and which of the two texts is asked for first.
        alpha: level of the test and of the interval.

    Returns:
        By finding id: `likelihood_test`'s values, `unusable` (texts by reason) and one `example` {prompt, fits, does_not}; or
        `not_available`.

    Raises:
        BudgetSpent, ChatError, Interrupted: as `Asker.ask_all`.
    """
    shown = validated(findings)
    if not isinstance(base, Scorer) or not isinstance(intervention, Scorer):
        return {finding.id: unavailable("recorded texts have no log-likelihood: both sides must be live models") for finding in shown}
    sites = [(finding, site) for finding in shown for site in _sites(finding, pairs, prompts, seed)]
    outcomes = asker.ask_many([_question(finding, site) for finding, site in sites], TEMPLATE)
    told: dict[str, dict[str, object]] = {}
    for finding in shown:
        own = [(site, outcome) for (owner, site), outcome in zip(sites, outcomes, strict=True) if owner is finding]
        told[finding.id] = _judged(finding, own, base, intervention, alpha)
    return told


def likelihood_test(fits: FloatArray, does_not: FloatArray, alpha: float) -> dict[str, object]:
    """Whether log-likelihood ratios are larger on texts that fit.

    Args:
        fits, does_not: (n,) ratio (the finding's side − the other) of each prompt's two texts, in nats a token.
        alpha: level.

    Returns:
        `prompts`: n; `mean`: of x = fits − does_not; `interval` of the mean, None for fewer than two prompts; `share_above`: of prompts
        with x > 0, zeros half; `p_value`: two-sided, by sign flips; `shows`: p ≤ alpha and mean > 0.

    >>> told = likelihood_test(np.array([0.4, 0.2, 0.3, 0.5, 0.1, 0.3]), np.zeros(6), 0.05)
    >>> round(told["p_value"], 5), round(told["mean"], 5), told["shows"]
    (0.03125, 0.3, True)
    """
    x = np.asarray(fits, dtype=np.float64) - np.asarray(does_not, dtype=np.float64)
    count, largest = len(x), float(np.abs(x).max(initial=0.0))
    p_value = float(paired_p_values((x / largest)[None])[0]) if largest > 0 else 1.0
    mean = float(x.mean()) if count else 0.0
    half = float(stdtrit(count - 1, 1 - alpha / 2) * x.std(ddof=1) / math.sqrt(count)) if count > 1 else math.nan
    return {
        "prompts": count,
        "mean": mean,
        "interval": [mean - half, mean + half] if count > 1 else None,
        "share_above": float(0.5 + np.sign(x).mean() / 2) if count else 0.5,
        "p_value": p_value,
        "shows": p_value <= alpha and mean > 0,
    }


def _sites(finding: Finding, pairs: Sequence[Pair], count: int, seed: int) -> list[_Site]:
    first: dict[str, Pair] = {}
    for pair in pairs:
        first.setdefault(pair.prompt.id, pair)
    own = list(first.values())
    random = generator("examine", "generative", seed, finding.id)
    chosen = [own[place] for place in random.permutation(len(own))[:count].tolist()]
    coins = random.integers(2, size=(2, len(chosen))).astype(bool).tolist()
    return [
        _Site(pair.prompt, pair.intervention.text if changed else pair.base.text, first_fits)
        for pair, changed, first_fits in zip(chosen, *coins, strict=True)
    ]


def _question(finding: Finding, site: _Site) -> ChatRequest:
    fits, does_not = ("first", "second") if site.first_fits else ("second", "first")
    data = [
        fenced("sentence", one_line(finding.statement, 400), 400),
        fenced("prompt", site.prompt.whole, _PROMPT),
        fenced("example", site.example, _SHOWN),
        f"Write `first` and `second`. The sentence must fit `{fits}` and must not fit `{does_not}`.",
    ]
    return request(_TASK, data, _Two, 400 + min(len(site.example), _SHOWN))


def _judged(finding: Finding, own: Sequence[tuple[_Site, Outcome]], base: Scorer, intervention: Scorer, alpha: float) -> dict[str, object]:
    """One finding's texts, scored and tested."""
    unusable: Counter[str] = Counter()
    ratios: list[tuple[float, float]] = []
    example: dict[str, object] | None = None
    for site, outcome in own:
        texts = outcome.kind if isinstance(outcome, Failure) else _texts(site, outcome.value)
        found = texts if isinstance(texts, str) else _ratios(site.prompt, texts, base, intervention)
        if isinstance(found, str):
            unusable[found] += 1
            continue
        ratios.append(found)
        example = example or {
            "prompt": one_line(site.prompt.whole, 500),
            "fits": one_line(texts[0], 500),
            "does_not": one_line(texts[1], 500),
        }
    if not ratios:
        why = ", ".join(f"{count} {reason}" for reason, count in unusable.items()) or "no prompt"
        return unavailable(f"no usable texts ({why})")
    sign = 1.0 if finding.more_in == "intervention" else -1.0
    both = sign * np.array(ratios)
    return likelihood_test(both[:, 0], both[:, 1], alpha) | {"unusable": dict(unusable), "example": example}


def _texts(site: _Site, value: BaseModel | None) -> tuple[str, str] | str:
    """The text that fits and the one that does not, as they would follow the prompt; or why there are none."""
    if not isinstance(value, _Two):
        return "malformed"
    # A chat model trims what it writes; after a raw prompt the space before the first word counts.
    lead = site.example[: len(site.example) - len(site.example.lstrip())]
    most = 2 * len(site.example) + 500
    first, second = (cleaned(text).strip()[:most] for text in (value.first, value.second))
    if not first or not second:
        return "empty"
    if first == second:
        return "alike"
    return (lead + first, lead + second) if site.first_fits else (lead + second, lead + first)


def _ratios(prompt: Prompt, texts: tuple[str, str], base: Scorer, intervention: Scorer) -> tuple[float, float] | str:
    """[ℓ_int − ℓ_base] a token of both texts; or why they have none."""
    try:
        difference = intervention.log_likelihood(prompt, texts) - base.log_likelihood(prompt, texts)
        ratios = difference / np.maximum(base.token_counts(prompt, texts), 1)
    except SubjectError:
        return "unscored"
    return (float(ratios[0]), float(ratios[1])) if np.isfinite(ratios).all() else "unscored"
