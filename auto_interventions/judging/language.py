"""A language model as a judge: sentences and pairs of texts in, scores out.

It is blind: it is handed a left and a right text and never learns whose they are; which one it is shown first is a coin that depends on
seed, judge, sentence and pair alone. If the two models do not differ at a prompt, then, given everything that a call shows, each pair's
payoff has a fair sign, whatever the judge makes of the other pairs in the call: that is all that the bets need.

Several pairs of one sentence go into one call. Batches depend on the sentence and the order of the pairs alone, so the same work makes
the same requests, and the store has their replies. Pairs for which a batch was of no use are asked once more, one a call.
What it does not know: predicates, other judges, what a score is good for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from auto_interventions.config import JudgeConfig
from auto_interventions.fingerprint import seed_of
from auto_interventions.judging.questions import MOST_ITEMS, Form, Verdict
from auto_interventions.judging.record import JudgeRecord
from auto_interventions.llm.asking import Asker
from auto_interventions.llm.chat import Failure, Outcome, Reply, Usage, size_of
from auto_interventions.llm.schemas import schema_size
from auto_interventions.records import BoolArray, FloatMatrix

_Value = TypeVar("_Value")
_TRIAL = 40  # items in batches, before batches may be given up
_UNUSABLE = 0.1  # share of them above which they are
_WAVE = 2_048  # calls that are formed at a time: 24,000 pairs of long texts need not lie in memory twice
_BYTES_A_TOKEN = 4
_SAMPLE = 50  # pairs whose requests are formed to know what a pair costs
_USUAL_STATEMENT = "describes what somebody does, in a sentence of usual length"


@dataclass(frozen=True, slots=True)
class _Asked:
    """One item: the texts as shown, and for each the place of its score (0 left, 1 right)."""

    column: int
    texts: tuple[str, ...]
    sides: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Call:
    """Items of one sentence that are asked about together."""

    row: int
    items: tuple[_Asked, ...]


class LanguageJudge:
    """Judges with one model. Scores of this process are remembered: a pair is not judged twice because more pairs were added later."""

    def __init__(self, asker: Asker, config: JudgeConfig, seed: int) -> None:
        """Asks nothing yet.

        Args:
            asker: the model, with its limits and money.
            config: `mode`, `pairs_per_call`, `max_characters`.
            seed: of the coins that say which text is shown first.
        """
        self.name = asker.model.name
        self.record = JudgeRecord(self.name, config.mode)
        self._asker = asker
        self._seed = seed
        self._per_call = min(config.pairs_per_call, MOST_ITEMS)
        self._form = Form(config.mode, config.max_characters, asker.settings.thinking == "default")
        self._known: dict[tuple[str, str, str, str], tuple[float, float]] = {}
        self._tried = self._unusable = 0

    def score(
        self, statements: Sequence[str], left: Sequence[str], right: Sequence[str], keys: Sequence[str], cells: BoolArray
    ) -> tuple[FloatMatrix, FloatMatrix]:
        """How well each sentence fits each text.

        Args:
            statements: H sentences, each about one text.
            left, right: n texts each; which side is whose is nobody's business here.
            keys: n names of the pairs (prompt and sample), the same whenever the pair is judged.
            cells: (H, n) which pairs are judged for which sentence.

        Returns:
            Two (H, n) float32 matrices in [0, 1], of the left and of the right texts; NaN: not asked, abstained, failed. Where both texts
            are the same, both get the mean: there is nothing to prefer.

        Raises:
            ValueError: shapes that do not belong together.
            BudgetSpent, ChatError, Interrupted: see `Asker.ask_all`; replies so far are in the store, and their cost is in `record`.
        """
        shape = (len(statements), len(keys))
        if not len(left) == len(right) == len(keys) or cells.shape != shape:
            raise ValueError(f"{len(left)} left and {len(right)} right texts with {len(keys)} keys, cells {cells.shape}")
        scores = np.full((2, *shape), np.nan, dtype=np.float32)
        fresh = np.zeros(shape, dtype=np.bool_)
        for row, column in np.argwhere(cells).tolist():
            known = self._known.get((statements[row], keys[column], left[column], right[column]))
            if known is None:
                fresh[row, column] = True
            else:
                scores[:, row, column] = known
        before = replace(self.record, failed=self.record.failed.copy()), self._tried, self._unusable
        try:
            self._judge(self._calls(statements, left, right, keys, fresh), statements, scores)
        except BaseException:  # what was answered will be read from the store when it is asked again, and counts then; money is spent
            self.record, self._tried, self._unusable = before
            raise
        for row, column in np.argwhere(fresh).tolist():
            if self._form.mode == "pairwise" and left[column] == right[column]:
                scores[:, row, column] = scores[:, row, column].mean()
            place = (statements[row], keys[column], left[column], right[column])
            self._known[place] = (float(scores[0, row, column]), float(scores[1, row, column]))
        return scores[0], scores[1]

    def cost_per_pair(self, left: Sequence[str], right: Sequence[str]) -> float:
        """Expected dollars of judging one such pair: tokens of the requests as they would be, and of a usual reply. 0 without pairs."""
        shown = list(zip(left, right, strict=True))[:_SAMPLE]
        if not shown:
            return 0.0
        per_call = self._per_call if self.record.reliable else 1
        usage = Usage()
        for batch in _chunks(shown, per_call):
            halves = [batch] if self._form.mode == "pairwise" else [[(a,) for a, _ in batch], [(b,) for _, b in batch]]
            for items in halves:
                request = self._form.request(_USUAL_STATEMENT, items)
                tokens = (size_of(request.messages) + schema_size(request.schema)) // _BYTES_A_TOKEN
                usage += Usage(tokens, self._form.typical_tokens(len(items)))
        return self._asker.prices.dollars(usage) / len(shown)

    def _calls(
        self, statements: Sequence[str], left: Sequence[str], right: Sequence[str], keys: Sequence[str], cells: BoolArray
    ) -> list[_Call]:
        """The batches, sentence by sentence, pairs in their order."""
        calls: list[_Call] = []
        for row, statement in enumerate(statements):
            for columns in _chunks(np.flatnonzero(cells[row]).tolist(), self._per_call):
                turned = [seed_of("judge shows", self._seed, self.name, statement, keys[column]) & 1 for column in columns]
                pairs = [(column, (left[column], right[column]), turn) for column, turn in zip(columns, turned, strict=True)]
                if self._form.mode == "pairwise":
                    items = (_Asked(column, (texts[turn], texts[1 - turn]), (turn, 1 - turn)) for column, texts, turn in pairs)
                    calls.append(_Call(row, tuple(items)))
                    continue
                # One text of each pair in a call, its other in the next: no text is seen beside the one that it will be compared with.
                for other in (0, 1):
                    sides = [(column, texts, turn ^ other) for column, texts, turn in pairs]
                    calls.append(_Call(row, tuple(_Asked(column, (texts[side],), (side,)) for column, texts, side in sides)))
        return calls

    def _judge(self, calls: list[_Call], statements: Sequence[str], scores: FloatMatrix) -> None:
        """Fills `scores` (2, H, n): batches in waves, then what they were of no use for, one a call."""
        self.record.asked += sum(len(call.items) for call in calls)
        again: list[_Call] = []
        while calls:
            if not self.record.reliable:
                calls = _singly(calls)
            # Until batches have shown what they are worth, no more are asked than it takes to see it.
            untried = 0 if self._per_call == 1 or not self.record.reliable else max(0, _TRIAL - self._tried)
            size = -(-untried // self._per_call) or _WAVE
            wave, calls = calls[:size], calls[size:]
            for call, outcome in zip(wave, self._ask(wave, statements), strict=True):
                again += self._take(call, outcome, scores)
            if self._tried >= _TRIAL and self._unusable > _UNUSABLE * self._tried:
                self.record.reliable = False
        self.record.asked_again += len(again)
        for wave in _chunks(again, _WAVE):
            for call, outcome in zip(wave, self._ask(wave, statements), strict=True):
                self._take(call, outcome, scores)

    def _ask(self, calls: Sequence[_Call], statements: Sequence[str]) -> list[Outcome]:
        def count(place: int, outcome: Outcome) -> None:  # as they come: a run that the budget ends has paid for these too
            self.record.call(statements[calls[place].row], outcome)

        requests = [self._form.request(statements[call.row], [item.texts for item in call.items]) for call in calls]
        return self._asker.ask_many(requests, self._form.template, count)

    def _take(self, call: _Call, outcome: Outcome, scores: FloatMatrix) -> list[_Call]:
        """Writes what a reply says into `scores`; returns the items that are to be asked about singly."""
        batch, again = len(call.items) > 1, list[_Call]()
        for item, verdict in zip(call.items, self._verdicts(call, outcome), strict=True):
            if isinstance(verdict, Verdict):
                self.record.verdict(verdict.label)
                for side, score in zip(item.sides, verdict.scores, strict=True):
                    scores[side, call.row, item.column] = np.nan if score is None else score
            elif batch and not (isinstance(outcome, Failure) and outcome.passing):
                again.append(_Call(call.row, (item,)))
            else:  # a service that does not answer is not asked five times instead of once
                self.record.failure(verdict)
        if batch and not (isinstance(outcome, Failure) and outcome.passing):
            self._tried += len(call.items)
            self._unusable += len(again)
        return again

    def _verdicts(self, call: _Call, outcome: Outcome) -> Sequence[Verdict | str]:
        if isinstance(outcome, Reply):
            return self._form.read(outcome.value, len(call.items))
        return [outcome.kind] * len(call.items)


def _singly(calls: Sequence[_Call]) -> list[_Call]:
    return [_Call(call.row, (item,)) for call in calls for item in call.items]


def _chunks(values: Sequence[_Value], size: int) -> list[Sequence[_Value]]:
    return [values[start : start + size] for start in range(0, len(values), size)]
