"""One finding, ready for the page: its sentence, where it happens, and pairs of texts that show it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from auto_interventions.report import wording
from auto_interventions.report.beside import Mark, Remark, mark, remarks
from auto_interventions.report.certainty import exact, grasped, quotation
from auto_interventions.report.choices import Choices, proposer
from auto_interventions.report.pairs import PairView, example_pairs
from auto_interventions.report.plain import visible

AXIS = 180
"""Length of the axis of a stratum's difference, in pixels."""
_JUDGES = {"predicate": "a check that a machine runs on the text"}
_SOURCES = {
    "own": "your own hypothesis",
    "labeller": "proposed by a language model",
    "lexical": "proposed by counting words",
    "opening": "proposed by comparing how texts begin",
    "ending": "proposed by comparing how texts end",
    "format": "proposed by measuring length and layout",
    "refusal": "proposed by looking for refusals",
    "language": "proposed by telling languages apart",
}
_ONE_ORDER = 8  # strata, up to which all cards list them in the same order
_COMMON = {"mentions", "says", "ends", "opens", "starts", "with"}  # words of checks, not of texts
_LAYOUT_THEMES = ("Layout", "Markdown")


@dataclass(frozen=True, slots=True)
class Bar:
    """A difference with its interval on an axis from 0 to `AXIS`: `zero` is where no difference is."""

    low: float
    at: float
    high: float
    zero: float


@dataclass(frozen=True, slots=True)
class StratumRow:
    """A finding in one stratum."""

    name: str
    points: str
    interval: str
    prompts: int | None
    clear: bool
    bar: Bar


@dataclass(frozen=True, slots=True)
class Card:
    """A validated finding. `layout`: line breaks matter, so they are shown; `size_open`: its interval still holds 0, `size_known`: it does
    not hold everything; `strength` is empty where a fixed-n test decided; `beside`: what else was looked at.
    `source_key` and `clear_strata` are what the page's filters go by (`choices`)."""

    id: str
    often: str
    what: str
    effect: dict[str, str]
    evidence: str
    e_value: str
    strength: str
    where: str
    size_open: bool
    size_known: bool
    strata: list[StratumRow]
    pairs: list[PairView]
    also: list[str]
    layout: bool
    more_in: str
    pairs_judged: int
    judges: str
    source: str
    intent: Mark | None
    beside: list[Remark]
    source_key: str
    clear_strata: list[int]
    quote: str


def card(
    finding: Mapping[str, Any],
    texts: pd.DataFrame,
    labels: Mapping[str, str],
    alpha: float,
    choices: Choices,
    *,
    verdicts: pd.DataFrame | None = None,
    made: str = "",
) -> Card:
    """The card of `finding`; `texts` is texts.parquet (may be empty), `labels` the models' names by role, `verdicts` is verdicts.parquet
    (what judges said, None where there is none), `made` says what made the run."""
    layout = _about_layout(finding.get("check"))
    often, what = wording.claim(finding)
    fixed, log_e = wording.p_value_of(finding) is not None, wording.log_e_of(finding)
    return Card(
        id=visible(finding["id"], 80),
        often=often,
        what=visible(what, 400),
        effect={
            "base": wording.percent(finding["base_rate"]),
            "intervention": wording.percent(finding["intervention_rate"]),
            "points": wording.points(finding["difference"]),
            "interval": wording.interval(finding["interval"]),
            "level": wording.level(alpha),
        },
        evidence=wording.proof(finding) if fixed else grasped(log_e),
        e_value="" if fixed else exact(log_e),
        strength="" if fixed else wording.strength(log_e),
        where=visible(wording.where(finding), 400),
        size_open=finding["interval"][0] <= 0 <= finding["interval"][1],
        size_known=wording.size_known(finding),
        strata=stratum_rows(finding),
        pairs=example_pairs(finding, texts, labels, verdicts),
        also=[visible(also, 300) for also in _likest_first(finding)],
        layout=layout,
        more_in=finding["more_in"],
        pairs_judged=int(finding.get("pairs", 0)),
        judges=_judges(finding),
        source=_source(finding.get("source", "")),
        intent=mark(finding),
        beside=remarks(finding, alpha),
        source_key=choices.source_key(finding),
        clear_strata=choices.clear_strata(finding),
        quote=visible(quotation(finding, labels, alpha, made), 1_000),
    )


def _source(source: str) -> str:
    """Who proposed a finding, in words."""
    if not source:
        return ""
    return _SOURCES.get(source) or f"proposed by the {visible(source, 60)} detector"


def _judges(finding: Mapping[str, Any]) -> str:
    """Who judged, as "openai:gpt-5-mini and openai:gpt-5, blind to which model wrote what"."""
    names = [_JUDGES.get(judge, visible(judge, 100)) for judge in finding.get("judges") or ()]
    blind = ", blind to which model wrote what" if finding.get("check", {}) is None else ""
    return wording.join(names) + blind if names else ""


def _likest_first(finding: Mapping[str, Any]) -> list[str]:
    """What was merged with a finding: first what shares a longer word with it, then longer sentences before shorter."""
    own = set(re.findall(r"\w{4,}", str(finding.get("statement", "")).lower())) - _COMMON
    return sorted(finding.get("also") or (), key=lambda also: (own.isdisjoint(re.findall(r"\w{4,}", also.lower())), -len(also)))


def stratum_rows(finding: Mapping[str, Any]) -> list[StratumRow]:
    """The strata of a finding, all on one axis: a few by name, as on every card; of many the largest difference first."""
    strata: list[Mapping[str, Any]] = sorted(
        finding.get("strata") or (),
        key=lambda stratum: (-stratum["difference"] * (1 if finding["difference"] >= 0 else -1), stratum["stratum"]),
    )
    if len(strata) <= _ONE_ORDER:
        strata.sort(key=lambda stratum: stratum["stratum"])
    bounds = [bound for stratum in strata for bound in (*stratum["interval"], stratum["difference"])]
    low, high = min([0.0, *bounds]), max([0.0, *bounds])
    reach = (high - low) or 1.0

    def place(value: float) -> float:
        return round(AXIS * (value - low) / reach, 2)

    return [
        StratumRow(
            name=visible(stratum["stratum"], 80),
            points=wording.points(stratum["difference"]),
            interval=wording.interval(stratum["interval"]),
            prompts=stratum.get("prompts"),
            clear=wording.is_clear(stratum, finding),
            bar=Bar(place(stratum["interval"][0]), place(stratum["difference"]), place(stratum["interval"][1]), place(0.0)),
        )
        for stratum in strata
    ]


def _about_layout(check: Mapping[str, Any] | None) -> bool:
    from auto_interventions.hypotheses.measures import MEASURES

    measure = MEASURES.get(str((check or {}).get("feature", "")))
    return measure is not None and measure.theme in _LAYOUT_THEMES


def _evidence(finding: Mapping[str, Any]) -> str:
    if wording.is_judged(finding) and wording.p_value_of(finding) is None and wording.log_e_of(finding) <= 0:
        return "none"
    return wording.proof(finding)


def rates(findings: Sequence[Mapping[str, Any]], choices: Choices) -> list[dict[str, str]]:
    """Findings as rows of a table of text."""
    rows: list[dict[str, str]] = []
    for finding in findings:
        often, what = wording.claim(finding)
        rows.append(
            {
                "what": visible(f"{often} {what}", 300),
                "rates": wording.rates(finding),
                "size": wording.size(finding),
                "evidence": _evidence(finding),
                "source": proposer(finding),
                "source_key": choices.source_key(finding),
                "more_in": finding["more_in"],
            }
        )
    return rows
