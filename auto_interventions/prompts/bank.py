"""Loads prompts, byte for byte, and drops what is asked twice.

Two prompts that differ in white space or case only are one prompt: their answers would not be independent, and one might land in
the explore pool and the other in the confirm pool.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path

from auto_interventions.config import PromptsConfig
from auto_interventions.errors import PromptError
from auto_interventions.fingerprint import fingerprint
from auto_interventions.records import Prompt
from auto_interventions.subjects import RecordedTexts
from auto_interventions.subjects.tables import KINDS, read_rows

LINES = (".txt", "")


def load_prompts(config: PromptsConfig, recorded: Sequence[RecordedTexts] = (), seed: int = 0) -> list[Prompt]:
    """The distinct prompts of the bank, in the order of the file; the first of near-equal ones is kept.

    Args:
        config: where they are, and how many are kept at most.
        recorded: the recorded texts of the audit's sides; every prompt must be answered there.
        seed: of the choice that `max_prompts` makes. A prompt's chance does not depend on the others', so a grown bank keeps most of it.

    Returns:
        Prompts with `stratum` as given in the file, "" where it gives none.

    Raises:
        PromptError: no such file, no column `prompt`, an empty prompt, no prompts, all alike, a stratum missing where `strata: given`, or a
            prompt that a side's recorded texts do not hold.
    """
    if config.source == "recorded":
        if not recorded:
            raise PromptError("`prompts.source: recorded` needs recorded `texts` on a side; give `source: file` and a `path`")
        where = str(recorded[0].path)
        rows = [Prompt(text, recorded[0].strata.get(text, "")) for text in recorded[0].texts[recorded[0].roles[0]]]
    else:
        where = str(config.path)
        rows = _read(Path(where))
    if config.strata == "given":
        _check_strata(rows, where)
    prompts = distinct(rows)
    if not prompts:
        raise PromptError(f"{where}: holds no prompts; write one a line, or rows with a column `prompt`")
    if len(rows) > 1 and len(prompts) == 1:
        raise PromptError(f"{where}: all {len(rows)} prompts are alike ({_cut(rows[0].text)}); give prompts that differ")
    _check_recorded(prompts, recorded, where)
    return capped(prompts, config.max_prompts, seed)


def _read(path: Path) -> list[Prompt]:
    if path.suffix.lower() in LINES:
        return [Prompt(line) for line in _lines(path) if line.strip()]
    if path.suffix.lower() not in KINDS:
        raise PromptError(f"{path}: `{path.suffix}` is not a kind of prompt file; use .txt (one prompt a line), {', '.join(KINDS)}")
    prompts: list[Prompt] = []
    for row in read_rows(path, ("prompt",), ("stratum",), PromptError):
        text = row.values["prompt"]
        if text is None or not text.strip():
            raise PromptError(f"{path}, {row.where}: `prompt` is empty; fill it in, or remove the row")
        prompts.append(Prompt(text, row.values.get("stratum") or ""))
    return prompts


def _lines(path: Path) -> list[str]:
    """The lines without their line breaks; a trailing space is part of a prompt."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise PromptError(f"{path}: no such prompt file; mend `prompts.path`") from None
    except UnicodeDecodeError as error:
        raise PromptError(f"{path}: is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    except OSError as error:
        raise PromptError(f"{path}: cannot be read ({error.strerror or error}); mend `prompts.path`") from error
    return [line.removesuffix("\r") for line in text.split("\n")]


def distinct(rows: Sequence[Prompt]) -> list[Prompt]:
    """The first of prompts that differ in case, white space or punctuation only: they ask the same, so they are no two units."""
    kept: dict[str, Prompt] = {}
    for prompt in rows:
        kept.setdefault(plain_words(prompt.whole), prompt)
    return list(kept.values())


def plain_words(text: str) -> str:
    """What two prompts have in common that ask the same: the words without case and punctuation (or the signs where there are no words)."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    words = " ".join("".join(letter if letter.isalnum() else " " for letter in plain).split())
    return words or " ".join(plain.split())


def capped(prompts: list[Prompt], most: int | None, seed: int) -> list[Prompt]:
    """A seeded random choice of at most `most` prompts, in their order; None keeps all."""
    if most is None or len(prompts) <= most:
        return prompts
    chosen = sorted(range(len(prompts)), key=lambda place: fingerprint("cap", seed, prompts[place].text))[:most]
    return [prompts[place] for place in sorted(chosen)]


def _check_strata(rows: Sequence[Prompt], where: str) -> None:
    strata: dict[str, str] = {}
    for prompt in rows:
        if not prompt.stratum.strip():
            raise PromptError(
                f"{where}: the prompt {_cut(prompt.text)} has no `stratum`, which `strata: given` needs; add it, or use `strata: auto`"
            )
        if strata.setdefault(prompt.text, prompt.stratum) != prompt.stratum:
            raise PromptError(
                f"{where}: the prompt {_cut(prompt.text)} is in `stratum` {strata[prompt.text]!r} and in {prompt.stratum!r}; keep one"
            )


def _check_recorded(prompts: Sequence[Prompt], recorded: Sequence[RecordedTexts], where: str) -> None:
    for file in recorded:
        for role in file.roles:
            lone = [prompt for prompt in prompts if prompt.text not in file.texts[role]]
            if lone:
                more = f" (and {len(lone) - 1} more)" if len(lone) > 1 else ""
                raise PromptError(
                    f"{where}: the prompt {_cut(lone[0].text)}{more} has no text with `model` {role} in {file.path}; "
                    f"record it, or remove the prompt"
                )


def _cut(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:59] + "…")
