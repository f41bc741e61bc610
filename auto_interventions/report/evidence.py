"""Evidence on demand: the pairs that findings were tested on, as JSON that the page's script turns into text, never into markup.

A pair stands in it once, whatever the number of findings; each finding adds a character a pair (who shows it) and where its marks lie. Of a
large run it is a random sample: the first pairs of a seeded permutation that fit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from auto_interventions.fingerprint import generator
from auto_interventions.hypotheses import Predicate, known_predicate
from auto_interventions.records import ROLES, FloatArray
from auto_interventions.report.pairs import shown_by
from auto_interventions.report.plain import Piece, Span, pieces, visible
from auto_interventions.report.rendering import safe_json
from auto_interventions.runs import PAIR, Run

MOST_PAIRS = 2_000
_LONGEST, _LONGEST_PROMPT = 1_200, 500  # characters of a text, of a prompt
_SEARCHED, _MOST_SEARCHED = 100_000, 20_000_000  # characters of one text, and of all, in which checks look
_MOST_SPANS = 30  # of a text
NOT_JUDGED, NEITHER, BASE, INTERVENTION, BOTH = "-0123"


@dataclass(frozen=True, slots=True)
class Evidence:
    """`content`: what the script reads; `shown`: pairs in it; `of`: pairs of the run that sentences were tested on."""

    content: Markup
    shown: int
    of: int


def evidence(run: Run, texts: pd.DataFrame, held: Sequence[Mapping[str, Any]], most_bytes: int) -> Evidence | None:
    """The pairs of the confirm pool, as many as `most_bytes` hold; None where there is no pair, or nothing to show one for.

    The content is {"strata": names, "pairs": [[stratum, prompt, base, intervention, who was cut]], "findings": {id: {"shows", "marks"}}}.
    A text is a string, or a list of strings and of [what stands for it, hint or ""] for what cannot be shown as it is.
    """
    keys = _tested(texts)
    if not held or keys.empty:
        return None
    order = generator("report", "pairs", str(run.run.get("name"))).permutation(len(keys))[:MOST_PAIRS]
    chosen = [_Pair(*row) for row in _rows(texts, keys.iloc[order], most_bytes)]
    shows = _shows(held, chosen, run)
    checks = [known_predicate(finding.get("check")) for finding in held]
    strata: dict[str, int] = {}
    pairs: list[Any] = []
    marks: list[dict[str, Any]] = [{} for _ in held]
    room = most_bytes
    for number, pair in enumerate(chosen):
        told, marked = _told(pair, checks, [row[number] for row in shows], strata)
        room -= len(safe_json([told, marked]).encode()) + len(held)
        if room < 0:
            break
        pairs.append(told)
        for place, own in marked.items():
            marks[place][str(number)] = own
    content = {
        "strata": [visible(name, 80) for name in strata],
        "pairs": pairs,
        "findings": {
            visible(finding["id"], 80): {"shows": "".join(row[: len(pairs)]), "marks": own}
            for finding, row, own in zip(held, shows, marks, strict=True)
        },
    }
    return Evidence(safe_json(content), len(pairs), len(keys)) if pairs else None


@dataclass(frozen=True, slots=True)
class _Pair:
    prompt_id: str
    sample: int
    prompt: str
    stratum: str
    texts: tuple[str, str]
    cut: tuple[bool, bool]


def _tested(texts: pd.DataFrame) -> pd.DataFrame:
    """One row a pair of the confirm pool: the rows of its two texts."""
    if texts.empty:
        return pd.DataFrame()
    own = texts.loc[texts["pool"] == "confirm", [*PAIR, "model"]].assign(row=lambda table: table.index)
    sides = [own[own["model"] == role].drop_duplicates(PAIR).drop(columns="model") for role in ROLES]
    return sides[0].merge(sides[1], on=PAIR, suffixes=ROLES)


def _rows(texts: pd.DataFrame, keys: pd.DataFrame, most_bytes: int) -> list[tuple[Any, ...]]:
    """What a pair holds, for as many of `keys` as can fit, and as may be searched."""
    base, intervention = (texts.loc[keys[f"row{role}"]] for role in ROLES)
    found: list[tuple[Any, ...]] = []
    room, searched = most_bytes, _MOST_SEARCHED
    for one, other in zip(base.itertuples(), intervention.itertuples(), strict=True):
        both = (str(one.text), str(other.text))
        room -= sum(min(len(text), _LONGEST) for text in both)
        searched -= sum(min(len(text), _SEARCHED) for text in both)
        if room < 0 or searched < 0:
            break
        cut = (not one.finished, not other.finished)
        found.append((str(one.prompt_id), int(one.sample), str(one.prompt), str(one.stratum), both, cut))  # pyright: ignore[reportArgumentType]
    return found


def _shows(held: Sequence[Mapping[str, Any]], pairs: Sequence[_Pair], run: Run) -> list[list[str]]:
    """For each finding and pair who shows it: by its check, or by the verdicts of its judges."""
    base, intervention = ([pair.texts[side][:_SEARCHED] for pair in pairs] for side in (0, 1))
    keys = pd.MultiIndex.from_tuples([(pair.prompt_id, pair.sample) for pair in pairs], names=PAIR)
    return [_letters(scores) for scores in shown_by(held, base, intervention, keys, run.verdicts)]


def _letters(scores: FloatArray) -> list[str]:
    base, intervention = scores
    known = ~(np.isnan(base) | np.isnan(intervention))
    who = (base > 0.5) + 2 * (intervention > 0.5)
    return np.where(known, np.array([NEITHER, BASE, INTERVENTION, BOTH])[who], NOT_JUDGED).tolist()


def _told(
    pair: _Pair, checks: Sequence[Predicate | None], shows: Sequence[str], strata: dict[str, int]
) -> tuple[list[Any], dict[int, Any]]:
    """A pair as the script reads it, and where the marks of each finding lie in its two texts."""
    spans: list[list[list[Span]]] = [
        [
            check.spans(text[:_SEARCHED])[:_MOST_SPANS] if check is not None and letter in (own, BOTH) else []
            for check, letter in zip(checks, shows, strict=True)
        ]
        for text, own in zip(pair.texts, (BASE, INTERVENTION), strict=True)
    ]
    parts = [pieces(text, [span for own in side for span in own], _LONGEST) for text, side in zip(pair.texts, spans, strict=True)]
    told = [
        strata.setdefault(pair.stratum, len(strata)),
        joined(pieces(pair.prompt, longest=_LONGEST_PROMPT)),
        *(joined(side) for side in parts),
        sum(bit for bit, cut in zip((1, 2), pair.cut, strict=True) if cut),
    ]
    marked: dict[int, Any] = {}
    for number in range(len(checks)):
        own = [places(side, spans[which][number], len(pair.texts[which])) for which, side in enumerate(parts)]
        if any(own):
            marked[number] = own
    return told, marked


def joined(parts: Sequence[Piece]) -> Any:
    """Pieces as JSON: what stands for itself as strings, the rest as [text, hint]; one string where that is all.

    >>> joined(pieces("a\\u200bb"))
    ['a', ['U+200B', 'zero width space'], 'b']
    """
    found: list[Any] = []
    for part in parts:
        if part.kind in ("control", "gap"):
            found.append([part.text, part.hint])
        elif found and isinstance(found[-1], str):
            found[-1] += part.text
        else:
            found.append(part.text)
    return found[0] if len(found) == 1 and isinstance(found[0], str) else found if found else ""


def places(parts: Sequence[Piece], spans: Sequence[Span], length: int) -> list[int]:
    """Where `spans` of a text of `length` characters lie in what is shown of it, as [start, end, start, end …] in UTF-16 units, as scripts
    count; what is left out has none.

    >>> places(pieces("a\\u200bmoral"), [(2, 7)], 7)
    [7, 12]
    """
    found: list[int] = []
    at = 0
    ends = [*(part.at for part in parts), length][1:]
    for part, end in zip(parts, ends, strict=True):
        for left, right in spans:
            if part.kind == "gap" or left >= min(right, end) or right <= part.at:
                continue
            itself = part.kind in ("plain", "mark")  # what stands for something else is marked whole
            start = at + (_units(part.text[: max(left - part.at, 0)]) if itself else 0)
            stop = at + _units(part.text[: right - part.at] if itself else part.text)
            if found and found[-1] == start:
                found[-1] = stop
            elif stop > start:
                found += [start, stop]
        at += _units(part.text)
    return found


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2
