"""Asks a language model what differs, in waves, and makes hypotheses of what it says.

Side-by-side pairs of a place where the models differ → sentences → the usable ones → split → duplicates merged → hypotheses. Who is X and
who is Y is a coin for each call, so that a model that prefers one name favours no side. Everything random depends on the seed, the site and
the visit alone: a run that is started again forms the same requests, and finds their replies in the store.

What it does not know: whether a sentence is true. Its pairs are explored ones; what it says is tested on others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import cast

from auto_interventions.config import HypothesesConfig
from auto_interventions.errors import BudgetSpent
from auto_interventions.labelling import prompting
from auto_interventions.labelling.duplicates import groups_of, near_pairs
from auto_interventions.labelling.places import Place, Site
from auto_interventions.labelling.prompting import Differences, Entailments, Found, Splits
from auto_interventions.labelling.sentences import folded, looks_bundled, refusal, tidied
from auto_interventions.llm.asking import Asker
from auto_interventions.llm.chat import ChatRequest, Failure, Outcome, Reply
from auto_interventions.llm.fences import one_line
from auto_interventions.records import Direction, FloatMatrix, Hypothesis

_WAVE = 4  # calls at once: what one of them finds, the others of its wave do not know
_MOST_PARTS = 4
_MOST_ALSO = 12
_LONGEST_THEME = 40

Encode = Callable[[Sequence[str]], FloatMatrix]


@dataclass
class LabelCounts:
    """What the labeller's work came to. Sentences: `proposed` became hypotheses."""

    calls: int = 0
    """Labelling calls; those that split and compare sentences are not among them."""
    failed: int = 0
    """Calls of all three kinds without a usable reply."""
    proposed: int = 0
    split: int = 0
    """Bundled sentences that were split."""
    merged: int = 0
    """Sentences that said what another one, or one that existed before, says."""
    refused: dict[str, int] = field(default_factory=dict[str, int])
    """Sentences that are not about one text (or too long, or too many in a reply), by reason."""
    dropped: int = 0
    """Sentences over `hypotheses.limit`, the last of their calls first."""

    def refuse(self, why: str, count: int = 1) -> None:
        """Counts sentences that cannot be used."""
        self.refused[why] = self.refused.get(why, 0) + count

    def as_dict(self) -> dict[str, object]:
        """JSON-native."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Sentence:
    """`rank`: its place in the reply; `call`: the reply's number."""

    statement: str
    more_in: Direction
    theme: str
    rank: int
    call: int

    @property
    def words(self) -> str:
        return folded(self.statement)


class Labeller:
    """Proposes sentences. `config.calls` and `config.limit` hold for all that one labeller does."""

    def __init__(self, asker: Asker, config: HypothesesConfig, encode: Encode, seed: int) -> None:
        """Asks nothing yet.

        Args:
            asker: of the labelling model.
            config: `calls`, `limit`, `pairs_shown`, `sentences`, `instruction`.
            encode: n sentences to (n, d) unit vectors.
            seed: of the choice and order of pairs, and of who is X.
        """
        self.counts = LabelCounts()
        self._asker = asker
        self._config = config
        self._encode = encode
        self._seed = seed
        self._thinks = asker.settings.thinking == "default"
        self._born_round = 0
        self._known: list[str] = []
        self._earlier: list[str] = []
        self._sentences: list[_Sentence] = []
        self._also: dict[str, tuple[str, ...]] = {}

    @property
    def so_far(self) -> tuple[Hypothesis, ...]:
        """What the last `propose` has, also where an exception ended it: then perhaps with bundled sentences and duplicates."""
        return tuple(
            Hypothesis(one.statement, None, one.more_in, "labeller", self._born_round, also=self._also.get(one.words, ()))
            for one in self._sentences
        )

    def propose(self, sites: Sequence[Site], born_round: int, known: Sequence[str] = ()) -> tuple[Hypothesis, ...]:
        """Sentences about how the texts of the two models differ, the first of each reply first; none is an answer too.

        Args:
            sites: where to look, the most promising first. With fewer sites than calls, those that brought something are visited again.
            born_round: the exploring round after which these are born.
            known: sentences that exist already, such as the user's own or the lexical ones: never proposed again, in other words neither.

        Raises:
            BudgetSpent, Interrupted, ChatError: as `Asker.ask_many`; what is proposed by then is in `so_far`.
        """
        self._earlier += [sentence.statement for sentence in self._sentences]
        self._sentences, self._also, self._born_round = [], {}, born_round
        self._known = [*dict.fromkeys([*(one_line(sentence) for sentence in known), *self._earlier])]
        places = [Place(site, self._config.pairs_shown, self._seed) for site in sites]
        before = self.counts.calls
        try:
            while self._room and (wave := self._wave(places, self.counts.calls - before)):
                self._read(wave)
            self._split()
            self._merge()
        finally:
            room = max(0, self._config.limit - len(self._earlier))
            ranked = sorted(self._sentences, key=lambda sentence: (sentence.rank, sentence.call))
            self.counts.dropped += len(ranked[room:])
            self._sentences = ranked[:room]
            self.counts.proposed += len(self._sentences)
        return self.so_far

    @property
    def _room(self) -> bool:
        return self.counts.calls < self._config.calls and len(self._earlier) + len(self._sentences) < self._config.limit

    def _wave(self, places: Sequence[Place], asked: int) -> list[Place]:
        """Those to be visited next: the least visited first. At least two waves, so that the second can look elsewhere."""
        left = self._config.calls - self.counts.calls
        size = min(_WAVE, left, max(1, -(-left // 2)) if asked == 0 else left)
        return sorted((place for place in places if place.worth), key=lambda place: place.visits)[:size]

    # -- proposing ----------------------------------------------------------------------------------------------------------------

    def _read(self, wave: Sequence[Place]) -> None:
        """One wave of labelling calls."""
        found = Found(
            (*self._known, *(sentence.statement for sentence in self._sentences)),
            tuple(dict.fromkeys(sentence.theme for sentence in self._sentences if sentence.theme)),
        )
        requests: list[ChatRequest] = []
        coins: list[bool] = []
        for place in wave:
            shown, x_is_base = place.visit()
            requests.append(prompting.propose_request(shown, place.site.hints, x_is_base, found, self._config, self._thinks))
            coins.append(x_is_base)
        for number, outcome in self._asked(requests):
            place = wave[number]
            self.counts.calls += 1
            place.learn(self._take(outcome, coins[number]), isinstance(outcome, Failure) and outcome.kind == "rejected")

    def _asked(self, requests: Sequence[ChatRequest]) -> Iterable[tuple[int, Outcome]]:
        """Places and outcomes. Where the budget ends in the middle, the replies that it paid for come before the exception."""
        try:
            yield from enumerate(self._asker.ask_many(requests, prompting.PROPOSE))
        except BudgetSpent:
            for number, request in enumerate(requests):  # one by one: from the store, or refused before anything is asked
                try:
                    outcomes = self._asker.ask_many([request], prompting.PROPOSE)
                except BudgetSpent:
                    continue
                yield number, outcomes[0]
            raise

    def _take(self, outcome: Outcome, x_is_base: bool) -> int:
        """Keeps the usable sentences of a reply; how many are new."""
        if isinstance(outcome, Failure):
            self.counts.failed += 1
            return 0
        differences = cast(Differences, outcome.value).differences
        if len(differences) > self._config.sentences:
            self.counts.refuse("too many", len(differences) - self._config.sentences)
        present = {folded(sentence) for sentence in self._known} | {sentence.words for sentence in self._sentences}
        before = len(self._sentences)
        for rank, difference in enumerate(differences[: self._config.sentences]):
            more_in: Direction = "base" if (difference.more_in == "X") == x_is_base else "intervention"
            theme = one_line(difference.theme, _LONGEST_THEME).lower()
            sentence = _Sentence(tidied(difference.sentence), more_in, theme, rank, self.counts.calls)
            if why := refusal(sentence.statement):
                self.counts.refuse(why)
            elif sentence.words in present:
                self.counts.merged += 1
            else:
                present.add(sentence.words)
                self._sentences.append(sentence)
        return len(self._sentences) - before

    # -- splitting ----------------------------------------------------------------------------------------------------------------

    def _split(self) -> None:
        """Bundled sentences give way to their parts; what cannot be split stays."""
        bundled = [sentence for sentence in self._sentences if looks_bundled(sentence.statement)]
        if not bundled:
            return
        statements = [sentence.statement for sentence in bundled]
        reply = self._one(prompting.split_request(statements, self._thinks), prompting.SPLIT)
        if reply is None:
            return
        parts: dict[str, list[str]] = {}
        for answer in cast(Splits, reply.value).sentences:
            if 1 <= answer.number <= len(bundled):
                parts.setdefault(statements[answer.number - 1], self._usable_parts(answer.parts))
        split: list[_Sentence] = []
        for sentence in self._sentences:
            own = parts.get(sentence.statement, [])
            self.counts.split += len(own) > 1
            split += [_replaced(sentence, part) for part in own] if len(own) > 1 else [sentence]
        present = {folded(sentence) for sentence in self._known}
        self._sentences = []
        for sentence in split:
            self.counts.merged += sentence.words in present
            self._sentences += [sentence] if sentence.words not in present else []
            present.add(sentence.words)

    def _usable_parts(self, parts: Sequence[str]) -> list[str]:
        """None where there are too many: the model made something up; each at most once."""
        if len(parts) > _MOST_PARTS:
            return []
        tidy = {folded(part): part for part in map(tidied, parts)}
        return list(tidy.values()) if not any(map(refusal, tidy.values())) else []

    # -- duplicates ---------------------------------------------------------------------------------------------------------------

    def _merge(self) -> None:
        """Sentences that say the same become one; those that say what is known go."""
        known = len(self._known)
        statements = [*self._known, *(sentence.statement for sentence in self._sentences)]
        asked = near_pairs(self._encode(statements), known) if len(self._sentences) and len(statements) > 1 else []
        if not asked:
            return
        reply = self._one(
            prompting.same_request([(statements[first], statements[second]) for first, second in asked], self._thinks), prompting.SAME
        )
        if reply is None:
            return
        same: dict[tuple[int, int], bool] = {}
        for answer in cast(Entailments, reply.value).pairs:
            if 1 <= answer.number <= len(asked):
                same.setdefault(asked[answer.number - 1], answer.first_follows and answer.second_follows)
        merged: list[_Sentence] = []
        for group in groups_of(len(statements), known, asked, same):
            mine = [self._sentences[index - known] for index in group if index >= known]
            if group[0] < known:
                self.counts.merged += len(mine)
                continue
            chosen = _one_of(mine)
            self.counts.merged += len(mine) - 1
            self._also[chosen.words] = tuple(one.statement for one in mine if one.words != chosen.words)[:_MOST_ALSO]
            merged.append(chosen)
        self._sentences = merged

    def _one(self, request: ChatRequest, template: str) -> Reply | None:
        """The reply to one request; None where it fails."""
        outcome = self._asker.ask_many([request], template)[0]
        if isinstance(outcome, Failure):
            self.counts.failed += 1
            return None
        return outcome


def _replaced(sentence: _Sentence, statement: str) -> _Sentence:
    return _Sentence(statement, sentence.more_in, sentence.theme, sentence.rank, sentence.call)


def _one_of(group: Sequence[_Sentence]) -> _Sentence:
    """The first named one, in the direction that most of them have."""
    first = min(group, key=lambda sentence: (sentence.rank, sentence.call))
    turned: Direction = "base" if first.more_in == "intervention" else "intervention"
    more_in = turned if sum(sentence.more_in == turned for sentence in group) * 2 > len(group) else first.more_in
    return _Sentence(first.statement, more_in, first.theme, first.rank, first.call)
