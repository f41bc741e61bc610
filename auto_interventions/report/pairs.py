"""Example pairs of a finding: two answers to one prompt, what matters in them marked, who shows it, and why the judge thinks so."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from auto_interventions.hypotheses import Predicate, ask_checks, known_predicate
from auto_interventions.records import ROLES, FloatArray
from auto_interventions.report.beside import reasons
from auto_interventions.report.plain import Piece, Span, pieces, visible
from auto_interventions.runs import PAIR

MOST_PAIRS = 5
"""Example pairs of a finding that need no script; of the first findings `PAIRS_OPEN` stand open, of the others one."""
PAIRS_OPEN = 3
_LONGEST_PROMPT = 700
# Beyond this a text is only searched in its beginning for what to mark.
_LONGEST_SEARCHED = 100_000
_QUOTED = re.compile('“([^”]{3,120})”|"([^"]{3,120})"')


@dataclass(frozen=True, slots=True)
class Side:
    """One text of a pair. `reason`: the judge's, why the sentence fits it; "" where none was asked for."""

    label: str
    role: str
    pieces: list[Piece]
    shows: bool | None
    finished: bool
    reason: str


@dataclass(frozen=True, slots=True)
class PairView:
    """Both models' answers to one prompt."""

    prompt: list[Piece]
    stratum: str
    base: Side | None
    intervention: Side | None


def example_pairs(
    finding: Mapping[str, Any], texts: pd.DataFrame, labels: Mapping[str, str], verdicts: pd.DataFrame | None
) -> list[PairView]:
    """The pairs of the evidence: first those whose two texts differ in what the finding says, each prompt once while there are others.

    `texts` is texts.parquet, `verdicts` verdicts.parquet (None where there is none), `labels` the models' names by role.
    """
    if texts.empty:
        return []
    wanted = list(dict.fromkeys(finding.get("evidence") or ()))
    rows = texts[texts["id"].isin(wanted)].drop_duplicates("id").set_index("id")
    asked = texts[texts["prompt_id"].isin(rows["prompt_id"])]
    partners = {(str(row.model), str(row.prompt_id), int(row.sample)): row for row in asked.itertuples()}  # pyright: ignore[reportArgumentType, reportAttributeAccessIssue]
    predicate, told = known_predicate(finding.get("check")), reasons(finding)
    scores = None if predicate is not None or verdicts is None else scores_of(verdicts, str(finding["id"]))
    found: list[tuple[tuple[bool, bool, int], PairView]] = []
    seen: set[str] = set()
    for order, text_id in enumerate(wanted):
        if text_id not in rows.index:
            continue
        prompt_id, sample = str(rows.loc[text_id, "prompt_id"]), int(rows.loc[text_id, "sample"])  # pyright: ignore[reportArgumentType]
        said = _said(scores, prompt_id, sample)
        sides = {role: _side(partners.get((role, prompt_id, sample)), role, predicate, said.get(role), labels, told) for role in ROLES}
        shown = [side.shows for side in sides.values() if side is not None]
        view = PairView(
            pieces(str(rows.loc[text_id, "prompt"]), longest=_LONGEST_PROMPT),
            visible(rows.loc[text_id, "stratum"], 80),
            sides["base"],
            sides["intervention"],
        )
        found.append(((prompt_id in seen, len(shown) < 2 or shown[0] == shown[1], order), view))
        seen.add(prompt_id)
    return [view for _, view in sorted(found, key=lambda item: item[0])][:MOST_PAIRS]


def scores_of(verdicts: pd.DataFrame, hypothesis: str) -> pd.DataFrame:
    """What judges said of one sentence, by (prompt id, sample): columns base and intervention, scores in [0, 1], the strong judge's
    where it was asked; NaN where nothing was said."""
    own = verdicts[verdicts["hypothesis"] == hypothesis]
    if own.empty:
        return pd.DataFrame(columns=list(ROLES), index=pd.MultiIndex.from_tuples([], names=PAIR), dtype=np.float64)
    table = own.set_index(PAIR).groupby(level=PAIR).first()
    return pd.DataFrame({role: table[f"strong_{role}"].fillna(table[f"cheap_{role}"]).astype(np.float64) for role in ROLES})


def shown_by(
    findings: Sequence[Mapping[str, Any]], base: Iterable[str], intervention: Iterable[str], keys: pd.MultiIndex, verdicts: pd.DataFrame
) -> FloatArray:
    """How well both texts of N pairs fit each finding's sentence.

    Args:
        findings: H entries of findings.json.
        base, intervention: N texts each, as far as checks are to look.
        keys: (prompt id, sample) of the N pairs.
        verdicts: verdicts.parquet.

    Returns:
        (H, 2, N) scores of base and intervention in [0, 1]; NaN where nobody judged. A sentence with a check is asked of the texts; of
        others it is what the judges said (`scores_of`).
    """
    scores = np.full((len(findings), 2, len(keys)), np.nan)
    checked = ask_checks(findings, base, intervention)
    for row, finding in enumerate(findings):
        if row in checked:
            scores[row] = checked[row]
        else:
            judged = scores_of(verdicts, str(finding["id"])).reindex(keys)
            scores[row] = [judged[role].to_numpy(dtype=np.float64) for role in ROLES]
    return scores


def _said(scores: pd.DataFrame | None, prompt_id: str, sample: int) -> dict[str, bool]:
    """Who shows it by the judges; {} where they said nothing of this pair."""
    if scores is None or (prompt_id, sample) not in scores.index:
        return {}
    row: Any = scores.loc[(prompt_id, sample)]
    return {role: bool(row[role] > 0.5) for role in ROLES if not np.isnan(row[role])}


def _side(
    row: Any, role: str, predicate: Predicate | None, said: bool | None, labels: Mapping[str, str], told: Mapping[str, str]
) -> Side | None:
    if row is None:
        return None
    text, reason = str(row.text), told.get(str(row.id), "")
    head = text[:_LONGEST_SEARCHED]
    return Side(
        label=labels[role],
        role=role,
        pieces=pieces(text, predicate.spans(head) if predicate is not None else _quoted(head, reason)),
        shows=predicate.holds(head) if predicate is not None else said,
        finished=bool(row.finished),
        reason=reason,
    )


def _quoted(text: str, reason: str) -> list[Span]:
    """Where the words stand that a judge's reason quotes."""
    quoted = {one or other for one, other in _QUOTED.findall(reason)}
    return [match.span() for words in quoted for match in re.finditer(re.escape(words), text, re.IGNORECASE)][:30]
