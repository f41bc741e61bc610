"""A subject behind an API: prompts in, one reply a text, asked from the audit's own process.

Its texts are replies in the store (`llm.shelf`): asked once, paid once. Each text has a seed of its own, made of the audit's seed, the
side, the prompt and the sample number: two sides of the same model give different texts, and no two prompts share their noise.
Providers without a seed draw anew by themselves.

A reply is taken as it comes (`ChatRequest.verbatim`). What is no reply (blocked by the provider's filter, not taken, nothing in it) is an
`Unanswered`, never a text; what failed for now (busy, timed out, after all retries) ends the run, which goes on where it stopped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from auto_interventions.config import SamplingConfig, SubjectConfig
from auto_interventions.config_parts import around
from auto_interventions.errors import ConfigError, Interrupted, SubjectError
from auto_interventions.fingerprint import fingerprint, seed_of
from auto_interventions.llm.asking import Asker
from auto_interventions.llm.chat import ChatRequest, Failure, Message, Outcome, Reply
from auto_interventions.records import Generation, Prompt, Role
from auto_interventions.subjects.base import Job, Progress, Request, SilenceGuard, jobs_of
from auto_interventions.subjects.reasoning import audited, split_text

TEMPLATE = "subject/v1"
# Anthropic's least budget for thinking (docs.anthropic.com, "Extended thinking").
_LEAST_THINKING = 1024
# A model that answered none of so many prompts will not answer the next.
_UNANSWERED = 20
_SEEDS = 2**31  # what all providers take
_ADVICE = (
    "raise `sampling.max_new_tokens`, and where thoughts use up the tokens before the answer begins, give `reasoning` with a budget, or "
    "`chat: {thinking: least}`"
)


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A text that there is not: `kind` and `message` of the `Failure`."""

    kind: str
    message: str


def check_served(config: SubjectConfig, role: Role, sampling: SamplingConfig) -> None:
    """What the providers take no call to tell.

    Raises:
        ConfigError: the field and the fix.
    """
    if config.reasoning is None or not str(config.api).startswith("anthropic:"):
        return
    if config.reasoning.budget < _LEAST_THINKING:
        raise ConfigError(
            f"`{role}.reasoning.budget` is {config.reasoning.budget}, and Anthropic takes budgets from {_LEAST_THINKING} tokens; raise it"
        )
    if sampling.temperature != 1 or sampling.top_p != 1:
        raise ConfigError(f"`{role}.reasoning`: Anthropic's models reason at `sampling.temperature` 1 and `top_p` 1 only; set both to 1")


class ServedSubject:
    """One side of an audit, behind an API. `computed` and `reused` count texts, `failures` what came instead, by kind."""

    def __init__(self, asker: Asker, config: SubjectConfig, role: Role, sampling: SamplingConfig) -> None:
        """Asks nothing yet."""
        self._asker = asker
        self._config = config
        self._role: Role = role
        self._sampling = sampling
        self._guard = SilenceGuard(role, config.label, _ADVICE)
        self.computed = 0
        self.reused = 0
        self.failures: Counter[str] = Counter()
        self.answered_by: Counter[str] = Counter()
        """Texts by the model that the provider says wrote them."""

    @property
    def label(self) -> str:
        """What people call this side."""
        return self._config.label

    @property
    def fingerprint(self) -> str:
        """sha256 of provider, model, address and settings, and of what is put around prompts."""
        reasoning = self._config.reasoning.drawing if self._config.reasoning is not None else None
        return fingerprint("served", TEMPLATE, self._asker.model.fingerprint, self._config.system_prompt, self._config.wrap, reasoning)

    @property
    def facts(self) -> dict[str, object]:
        """What run.json tells of this side."""
        return {
            "api": self._config.api,
            "texts": self.computed + self.reused,
            "answered_by": dict(self.answered_by.most_common()),
            "unanswered": dict(self.failures.most_common()),
        }

    def available(self, prompt: Prompt) -> int | None:
        """None, or 0 where an answer should begin with given words: an API takes questions only."""
        return 0 if prompt.prefix else None

    def generate(self, requests: Sequence[Request], progress: Progress | None = None) -> list[Generation]:
        """See `subjects.Subject.generate`.

        Raises:
            SubjectError: a prompt that was not answered, or nothing but empty texts.
            BudgetSpent, ChatError, Interrupted: as `Asker.ask_all`.
        """
        told = self.attempt(requests, progress)
        for job, text in zip(jobs_of(requests), told, strict=True):
            if isinstance(text, Unanswered):
                raise SubjectError(
                    f"{self._role}: {self.label} did not answer {job.prompt.text[:60]!r} ({text.kind}: {text.message}); remove the prompt"
                )
        return [text for text in told if isinstance(text, Generation)]

    def attempt(self, requests: Sequence[Request], progress: Progress | None = None) -> list[Generation | Unanswered]:
        """The texts in the order of requests × samples, `Unanswered` where there is none.

        Raises:
            SubjectError: nothing but empty texts, or no answer at all.
            Interrupted: a text failed for now, after all retries.
            BudgetSpent, ChatError: as `Asker.ask_all`.
        """
        jobs = jobs_of(requests)

        def advance(_place: int, _outcome: Outcome) -> None:
            if progress is not None:
                progress(1)

        outcomes = self._asker.ask_many([self._question(job) for job in jobs], TEMPLATE, advance)
        self._check(outcomes)
        told = [self._told(job, outcome) for job, outcome in zip(jobs, outcomes, strict=True)]
        self._guard.listen([text for text in told if isinstance(text, Generation)])
        return told

    def _question(self, job: Job) -> ChatRequest:
        if job.prompt.prefix:
            raise SubjectError(
                f"{self._role}: {self.label} is behind an API, which cannot go on from the prefix {job.prompt.prefix[:60]!r}; set "
                f"`sampling.prefixes_after: null`"
            )
        before, after = around(self._config.wrap)
        system = [Message("system", self._config.system_prompt)] if self._config.system_prompt is not None else []
        sampling, thoughts = self._sampling, self._config.reasoning.budget if self._config.reasoning is not None else 0
        return ChatRequest(
            (*system, Message("user", before + job.prompt.text + after)),
            temperature=sampling.temperature,
            max_tokens=sampling.max_new_tokens + thoughts,
            seed=seed_of("served", sampling.seed, self._role, *job.prompt.asked, job.sample) % _SEEDS,
            top_p=sampling.top_p,
            verbatim=True,
            reasoning_tokens=thoughts,
        )

    def _check(self, outcomes: Sequence[Outcome]) -> None:
        failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
        for failure in failures:
            if failure.passing:
                raise Interrupted(
                    f"{self._role}: {self.label} left a prompt unanswered after {failure.attempts} attempts ({failure.message}); start "
                    "again when the service is back (replies so far are in the store), or raise `chat.timeout_seconds` and `chat.retries`"
                )
        if len(failures) == len(outcomes) >= _UNANSWERED and not self.answered_by:
            last = failures[-1]
            raise SubjectError(
                f"{self._role}: {self.label} answered none of {len(outcomes)} prompts ({last.kind}: {last.message}); take others, or "
                "another model"
            )

    def _told(self, job: Job, outcome: Outcome) -> Generation | Unanswered:
        if isinstance(outcome, Failure):
            self.failures[outcome.kind] += 1
            return Unanswered(outcome.kind, outcome.message)
        if outcome.cached:
            self.reused += 1
        else:
            self.computed += 1
        self.answered_by[outcome.model] += 1
        return self._generation(job, outcome)

    def _generation(self, job: Job, reply: Reply) -> Generation:
        tokens, finished, markers = reply.usage.output_tokens, not reply.cut, self._config.reasoning
        if markers is None:
            return Generation(self._role, job.prompt, job.sample, reply.text, tokens, finished)
        reasoning, answer = (reply.reasoning.strip("\r\n"), reply.text) if reply.reasoning else split_text(reply.text, markers)
        text = audited(reasoning, answer, markers.audit)
        cut = reply.cut and not answer.strip()
        return Generation(self._role, job.prompt, job.sample, text, tokens, finished, reasoning, answer, cut)
