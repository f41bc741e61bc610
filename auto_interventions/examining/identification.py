"""Interactive identification: can somebody who knows nothing but the finding tell which of the two models answered?

Formula.  A language model designs prompts at which the finding should show. In trial i a coin hides one of the two models; it answers a
prompt; the language model is told the finding, with the model that has more of it called P and the other Q, sees prompt and answer, and
says P or Q and how sure it is, s_i ∈ [0, 1]. The payoff is x_i = s_i where it is right and −s_i where it is wrong. If the two models
answer that prompt alike, the answer says nothing about the coin, whatever is made of it: x_i has mean 0 given the past, and a one-sided
bettor's capital is an e-value (`inference.betting`). Accuracy is averaged over prompts, with a confidence sequence for its mean.

What it says: the finding is of use on prompts that nobody drew from the bank: it tells the models apart. What it does not: that it is
right in every word (a vague one that hints at something true does well too), nor its size on the bank's prompts. It decides nothing.

Edge cases.  Trials without an answer of the subject or of the judge are no bet, and counted. Fewer prompts than trials: they are asked
again, with the next sample numbers. Recorded texts cannot answer new prompts: not available.

Sources: Shekhar & Ramdas 2023, arXiv:2112.09162 (betting on a classifier's answers); Turing 1950 (the game)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import BaseModel, Field

from auto_interventions.errors import SubjectError
from auto_interventions.examining.asking import no_answer, request, unavailable, validated
from auto_interventions.examining.by_prompt import means
from auto_interventions.fingerprint import generator
from auto_interventions.inference.betting import Wealth
from auto_interventions.inference.intervals import confidence_sequence
from auto_interventions.llm import ChatRequest, Failure, Outcome
from auto_interventions.llm.asking import Asker
from auto_interventions.llm.fences import cleaned, fenced, one_line
from auto_interventions.records import Finding, FloatArray, IntArray, Pair, Prompt, Role
from auto_interventions.subjects import RecordedSubject, Request, Subject

DESIGN, GUESS = "examine/identification/design/v1", "examine/identification/guess/v1"
_DESIGNED = 20  # prompts of a finding, at most
_SHOWN = 5  # prompts of the bank, as examples
_PROMPT = 1_000  # characters
_LARGEST = 1e300
_DESIGN_TASK = """You design an experiment with two language models that are sent prompts and answer. A sentence is said to fit the
answers of one of them more often than the other's. Write prompts after which that should show as clearly as possible, all different, in
the manner and form of the examples of prompts. A prompt must not mention the sentence, and must not ask for what it describes: the models
should differ by themselves."""
_GUESS_TASK = """There are two language models, P and Q. All that you know of them: the sentence below fits P's answers more often than Q's.
One of the two answered the prompt below; it was chosen by a coin. Say which it was, and how sure you are, from 0 (a guess) to 100."""


class _Design(BaseModel):
    prompts: list[str] = Field(max_length=4 * _DESIGNED)


class _Guess(BaseModel):
    model: Literal["P", "Q"]
    sure: int = Field(ge=0, le=100)


@dataclass(frozen=True, slots=True)
class _Trial:
    finding: Finding
    prompt: Prompt
    number: int
    """Of the prompt among the finding's."""
    sample: int
    hidden: Role


def identify(
    asker: Asker,
    findings: Sequence[Finding],
    pairs: Sequence[Pair],
    base: Subject,
    intervention: Subject,
    trials: int,
    seed: int,
    alpha: float,
    max_characters: int = 2_000,
) -> dict[str, dict[str, object]]:
    """Each validated finding used to tell the models apart, for `Finding.beside`.

    Args:
        asker: the labeller, who designs and guesses.
        findings: others than validated ones are left alone.
        pairs: confirm pairs, some of whose prompts are shown as examples.
        base, intervention: the two sides, live models.
        trials: of each finding; a call each, and one for the design.
        seed: the coins, and the examples.
        alpha: 1 − coverage of the interval.
        max_characters: of an answer that the guesser sees.

    Returns:
        By finding id: `identification_test`'s values, `unanswered` trials, and the designed `prompts`; or `not_available`.

    Raises:
        BudgetSpent, ChatError, Interrupted: as `Asker.ask_all`.
    """
    shown = validated(findings)
    if isinstance(base, RecordedSubject) or isinstance(intervention, RecordedSubject):
        return {finding.id: unavailable("recorded texts answer no new prompts: both sides must be live models") for finding in shown}
    wanted = min(trials, _DESIGNED)
    designs = asker.ask_many([_design_question(finding, pairs, wanted, seed) for finding in shown], DESIGN)
    designed = {finding.id: _prompts(outcome, wanted) for finding, outcome in zip(shown, designs, strict=True)}
    planned = [trial for finding in shown for trial in _trials(finding, designed[finding.id], trials, seed)]
    answers = _answers(planned, {"base": base, "intervention": intervention})
    answered = [place for place, answer in enumerate(answers) if answer is not None]
    questions = [_guess_question(planned[place], str(answers[place]), max_characters) for place in answered]
    guesses = dict(zip(answered, asker.ask_many(questions, GUESS), strict=True))
    told: dict[str, dict[str, object]] = {}
    for finding, outcome in zip(shown, designs, strict=True):
        own = [place for place, trial in enumerate(planned) if trial.finding is finding]
        if not own:
            told[finding.id] = unavailable(no_answer(outcome) if isinstance(outcome, Failure) else "the labeller designed no prompt")
            continue
        payoffs = np.array([_payoff(planned[place], guesses.get(place)) for place in own])
        known = {"unanswered": int(np.isnan(payoffs[:, 0]).sum()), "prompts": [prompt.text for prompt in designed[finding.id]]}
        numbers = np.array([planned[place].number for place in own], dtype=np.int64)
        told[finding.id] = identification_test(payoffs[:, 0], payoffs[:, 1], numbers, alpha) | known
    return told


def identification_test(right: FloatArray, sure: FloatArray, prompts: IntArray, alpha: float) -> dict[str, object]:
    """How well guesses do against a coin.

    Args:
        right: (n,) 1 where the guess was right, 0 where wrong, NaN where there is none.
        sure: (n,) in [0, 1].
        prompts: (n,) number of each trial's prompt.
        alpha: 1 − coverage.

    Returns:
        `trials`: with a guess; `accuracy`: mean over prompts, with its `interval` (both None without a trial); `e_value`, `log_e`.

    >>> identification_test(np.ones(10), np.full(10, 0.9), np.arange(10), 0.05)["accuracy"]
    1.0
    """
    seen = ~np.isnan(right)
    log_e = Wealth.start(two_sided=False).bet(np.where(seen, (2 * right - 1) * sure, np.nan)).log_e
    by_prompt = means(right, prompts)
    any_seen = len(by_prompt) > 0
    return {
        "trials": int(seen.sum()),
        "accuracy": float(by_prompt.mean()) if any_seen else None,
        "interval": list(_including(confidence_sequence(by_prompt, 0, 1, alpha, planned=len(by_prompt)), by_prompt)) if any_seen else None,
        "e_value": float(min(np.exp(min(log_e, 700.0)), _LARGEST)),
        "log_e": log_e,
    }


def _including(interval: tuple[float, float], values: FloatArray) -> tuple[float, float]:
    point = float(values.mean())
    return min(interval[0], point), max(interval[1], point)


def _design_question(finding: Finding, pairs: Sequence[Pair], count: int, seed: int) -> ChatRequest:
    bank = list(dict.fromkeys(pair.prompt.whole for pair in pairs))
    random = generator("examine", "design", seed, finding.id)
    examples = [bank[place] for place in random.permutation(len(bank))[:_SHOWN].tolist()]
    data = [fenced("sentence", one_line(finding.statement, 400), 400), *(fenced("example", text, _PROMPT) for text in examples)]
    return request(_DESIGN_TASK, [*data, f"Write {count} prompts."], _Design, 200 + 120 * count, seed)


def _prompts(outcome: Outcome, count: int) -> list[Prompt]:
    if isinstance(outcome, Failure) or not isinstance(outcome.value, _Design):
        return []
    texts = dict.fromkeys(cleaned(text).strip()[:_PROMPT] for text in outcome.value.prompts)
    return [Prompt(text, pool="confirm") for text in texts if text][:count]


def _trials(finding: Finding, prompts: Sequence[Prompt], count: int, seed: int) -> list[_Trial]:
    if not prompts:
        return []
    coins = generator("examine", "identification", seed, finding.id).integers(2, size=count).tolist()
    return [
        _Trial(finding, prompts[place % len(prompts)], place % len(prompts), place // len(prompts), "intervention" if coin else "base")
        for place, coin in enumerate(coins)
    ]


def _answers(trials: Sequence[_Trial], subjects: dict[Role, Subject]) -> list[str | None]:
    """What the hidden models say; None where one cannot."""
    answers: list[str | None] = [None] * len(trials)
    for role, subject in subjects.items():
        own = [place for place, trial in enumerate(trials) if trial.hidden == role]
        requests = [Request(trials[place].prompt, trials[place].sample, 1) for place in own]
        try:
            texts: list[str | None] = [generation.text for generation in subject.generate(requests)]
        except SubjectError:  # one prompt that is too long, among many that are not
            texts = [_alone(subject, asked) for asked in requests]
        for place, text in zip(own, texts, strict=True):
            answers[place] = text
    return answers


def _alone(subject: Subject, asked: Request) -> str | None:
    try:
        return subject.generate([asked])[0].text
    except SubjectError:
        return None


def _guess_question(trial: _Trial, answer: str, most: int) -> ChatRequest:
    data = [
        fenced("sentence", one_line(trial.finding.statement, 400), 400),
        fenced("prompt", trial.prompt.text, _PROMPT),
        fenced("answer", answer, most),
    ]
    return request(_GUESS_TASK, data, _Guess, 100)


def _payoff(trial: _Trial, outcome: Outcome | None) -> tuple[float, float]:
    """Right or wrong, and how sure; NaN where there is no guess."""
    if outcome is None or isinstance(outcome, Failure) or not isinstance(outcome.value, _Guess):
        return np.nan, np.nan
    hidden = "P" if trial.hidden == trial.finding.more_in else "Q"
    return float(outcome.value.model == hidden), outcome.value.sure / 100
