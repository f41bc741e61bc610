"""Recorded texts stand in for a live model: CSV, JSONL or Parquet with columns `model`, `prompt`, `text` and optionally `stratum`.

Texts are kept byte for byte. A side hands out the texts of a prompt in a seeded random order, each once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import cast

from auto_interventions.config import AuditConfig, SubjectConfig
from auto_interventions.errors import SubjectError
from auto_interventions.fingerprint import file_fingerprint, fingerprint, generator
from auto_interventions.records import ROLES, Generation, Prompt, Role
from auto_interventions.subjects.base import Progress, Request, jobs_of
from auto_interventions.subjects.tables import Row, read_rows

# A text of this many characters that comes twice for one prompt is a copy (a file concatenated with itself, a cached answer), not a second
# sample: bets on copies of pairs that were trained on would find a difference in anything.
LONG_TEXT = 40


@dataclass(frozen=True, slots=True)
class RecordedTexts:
    """A file of recorded texts.

    `texts`: for each role that the file serves, prompt → texts in file order; `strata`: prompt → stratum where there is the column;
    `repeats`: rows left out because they repeat a long text of the same prompt (`LONG_TEXT`).
    """

    path: Path
    sha256: str
    texts: Mapping[Role, Mapping[str, tuple[str, ...]]]
    strata: Mapping[str, str]
    repeats: int = 0

    @property
    def roles(self) -> tuple[Role, ...]:
        """The sides that this file serves."""
        return tuple(role for role in ROLES if role in self.texts)

    @classmethod
    def read(cls, path: str | Path, roles: Sequence[Role] = ROLES) -> RecordedTexts:
        """The texts of `roles` in the file.

        Raises:
            SubjectError: the file is missing, empty, not UTF-8 or of an unknown kind; a column is missing; a value is missing or unknown; a
                role has no text, or only empty ones; or a prompt is seen for one of the `roles` only.
        """
        path = Path(path)
        try:
            status = path.stat()
        except OSError:
            raise SubjectError(f"{path}: no such file of recorded texts; mend `texts` in the audit file") from None
        recorded = _read(path, tuple(roles), status.st_size, status.st_mtime_ns)
        if len(roles) > 1:
            check_pairing([recorded])
        return recorded


class RecordedSubject:
    """One side of an audit, from recorded texts: sample i of a prompt is the i-th of a permutation seeded by role and prompt."""

    def __init__(self, recorded: RecordedTexts, role: Role, seed: int, label: str) -> None:
        self._recorded = recorded
        self._role: Role = role
        self._seed = seed
        self._label = label
        self._orders: dict[str, tuple[str, ...]] = {}

    @property
    def label(self) -> str:
        """What people call this side."""
        return self._label

    @property
    def fingerprint(self) -> str:
        """sha256 of the file and the role."""
        return fingerprint("recorded", self._recorded.sha256, self._role)

    def available(self, prompt: Prompt) -> int | None:
        """How many texts of `prompt` were recorded; 0 for a prompt that is not in the file, or one with a prefix: texts that begin with it
        were not asked for."""
        return 0 if prompt.prefix else len(self._recorded.texts[self._role].get(prompt.text, ()))

    def generate(self, requests: Sequence[Request], progress: Progress | None = None) -> list[Generation]:
        """The texts in the order of requests × samples.

        Raises:
            SubjectError: more samples of a prompt than were recorded, or a prompt with a prefix.
        """
        answers: list[Generation] = []
        for job in jobs_of(requests):
            if job.prompt.prefix:
                raise SubjectError(
                    f"{self._recorded.path}: recorded texts cannot go on from the prefix {_cut(job.prompt.prefix)}; "
                    f"give a live model, or set `sampling.prefixes_after: null`"
                )
            texts = self._order(job.prompt.text)
            if job.sample >= len(texts):
                raise SubjectError(
                    f"{self._recorded.path}: holds {len(texts)} texts of {self._role} for the prompt {_cut(job.prompt.text)}, "
                    f"so sample {job.sample} does not exist; record more, or ask for fewer"
                )
            answers.append(Generation(self._role, job.prompt, job.sample, texts[job.sample], 0, True))
        if progress is not None:
            progress(len(answers))
        return answers

    def _order(self, prompt: str) -> tuple[str, ...]:
        if prompt not in self._orders:
            texts = self._recorded.texts[self._role].get(prompt, ())
            order = generator("recorded", self._seed, self._role, prompt).permutation(len(texts))
            self._orders[prompt] = tuple(texts[place] for place in order)
        return self._orders[prompt]


def recorded_texts(config: AuditConfig) -> list[RecordedTexts]:
    """The files of the sides that have recorded texts, each read for the sides it serves; none for two live models.

    Raises:
        SubjectError: as `RecordedTexts.read`; or the two sides do not hold the same prompts.
    """
    serves: dict[str, list[Role]] = {}
    sides: tuple[tuple[Role, SubjectConfig], ...] = (("base", config.base), ("intervention", config.intervention))
    for role, side in sides:
        if side.texts is not None:
            serves.setdefault(side.texts, []).append(role)
    recorded = [RecordedTexts.read(path, tuple(roles)) for path, roles in serves.items()]
    check_pairing(recorded)
    return recorded


def check_pairing(recorded: Sequence[RecordedTexts]) -> None:
    """Both sides hold the same prompts, where both are recorded.

    Raises:
        SubjectError: names the first prompt that only one side holds.
    """
    sides = {role: (file.path, file.texts[role]) for file in recorded for role in file.roles}
    if len(sides) < len(ROLES):
        return
    pairs: tuple[tuple[Role, Role], ...] = (("base", "intervention"), ("intervention", "base"))
    for role, other in pairs:
        lone = [prompt for prompt in sides[role][1] if prompt not in sides[other][1]]
        if lone:
            more = f" (and {len(lone) - 1} more)" if len(lone) > 1 else ""
            raise SubjectError(
                f"{sides[other][0]}: the prompt {_cut(lone[0])}{more} has texts with `model` {role} but none with {other}; "
                f"record both, or remove the prompt"
            )


@lru_cache(maxsize=8)
def _read(path: Path, roles: tuple[Role, ...], size: int, modified: int) -> RecordedTexts:
    rows = read_rows(path, ("model", "prompt", "text"), ("stratum",), SubjectError)
    texts: dict[Role, dict[str, list[str]]] = {role: {} for role in roles}
    strata: dict[str, str] = {}
    repeats = 0
    for row in rows:
        role = _role(row, path)
        if role not in texts:
            continue
        prompt, text = row.values["prompt"], row.values["text"]
        for column, value in (("prompt", prompt), ("text", text)):
            if value is None:
                raise SubjectError(f"{path}, {row.where}: `{column}` is missing (null or NaN); fill it in, or remove the row")
        answers = texts[role].setdefault(cast(str, prompt), [])
        if len(cast(str, text)) >= LONG_TEXT and text in answers:
            repeats += 1
        else:
            answers.append(cast(str, text))
        _note_stratum(strata, row, cast(str, prompt), path)
    for role in roles:
        _check_side(texts[role], role, path)
    frozen: dict[Role, Mapping[str, tuple[str, ...]]] = {
        role: MappingProxyType({prompt: tuple(answers) for prompt, answers in side.items()}) for role, side in texts.items()
    }
    return RecordedTexts(path, file_fingerprint(path), MappingProxyType(frozen), MappingProxyType(strata), repeats)


def _role(row: Row, path: Path) -> Role:
    model = row.values["model"]
    if model not in ROLES:
        raise SubjectError(f"{path}, {row.where}: `model` is {model!r}; it must be base or intervention")
    return "base" if model == "base" else "intervention"


def _note_stratum(strata: dict[str, str], row: Row, prompt: str, path: Path) -> None:
    stratum = row.values.get("stratum")
    if stratum is None:
        return
    if strata.setdefault(prompt, stratum) != stratum:
        raise SubjectError(
            f"{path}, {row.where}: the prompt {_cut(prompt)} has `stratum` {stratum!r} here and {strata[prompt]!r} before; keep one"
        )


def _check_side(texts: Mapping[str, Sequence[str]], role: Role, path: Path) -> None:
    if not texts:
        raise SubjectError(f"{path}: holds no row with `model` {role}; add its texts, or give the file that holds them")
    if not any(text.strip() for answers in texts.values() for text in answers):
        raise SubjectError(f"{path}: every `text` with `model` {role} is empty; record what the model answers")


def _cut(prompt: str) -> str:
    return repr(prompt if len(prompt) <= 60 else prompt[:59] + "…")
