"""What language models did in an audit: how its judges judged, how its sentences came about, and what could not be asked. From run.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auto_interventions.report import wording
from auto_interventions.report.beside import agreement
from auto_interventions.report.plain import one_line

_NAME = 80


@dataclass(frozen=True, slots=True)
class Share:
    """A share of verdicts with its 95% interval; "–" and "" where nothing is known."""

    value: str
    between: str


@dataclass(frozen=True, slots=True)
class JudgeRow:
    """One judge. `verdicts`: what it said how often."""

    name: str
    form: str
    asked: str
    verdicts: str
    unusable: str
    first: Share
    finds: Share
    rejects: Share


@dataclass(frozen=True, slots=True)
class Judging:
    """The section "How the judges did". `agreement`: of cheap and strong judge; `known`: on what the known sentences are."""

    rows: list[JudgeRow]
    biased: str
    agreement: str
    known: str
    notes: list[str]


def judging(run: Mapping[str, Any]) -> Judging | None:
    """The section's content from run.json; None where no language model judged."""
    told: Mapping[str, Any] = run.get("judging") or {}
    judges: Sequence[Mapping[str, Any]] = told.get("judges") or ()
    if not judges:
        return None
    known = {str(one["judge"]): one for one in told.get("known_items") or ()}
    return Judging(
        rows=[_row(judge, known.get(str(judge["judge"]))) for judge in judges],
        biased=_biased(judges),
        agreement=agreement(told["agreement"]) if told.get("agreement") else "",
        known=_known(list(known.values())),
        notes=[note for judge in judges for note in _notes(judge)],
    )


def _row(judge: Mapping[str, Any], known: Mapping[str, Any] | None) -> JudgeRow:
    labels = ("first", "second", "both", "neither", "scored")
    verdicts = [f"{judge[label]:,} {label}" for label in labels if judge.get(label)]
    # Texts are scored one at a time in the graded form, so that nothing stands first.
    failed = sum((judge.get("failed") or {}).values())
    return JudgeRow(
        name=one_line(judge["judge"], _NAME),
        form="pair by pair" if judge.get("mode") == "pairwise" else "text by text",
        asked=f"{judge['asked']:,}",
        verdicts=" · ".join(verdicts) or "–",
        unusable=f"{judge.get('unclear', 0):,} · {failed:,}",
        first=_first(judge.get("position_bias")),
        finds=_share((known or {}).get("sensitivity")),
        rejects=_share((known or {}).get("specificity")),
    )


def _first(bias: Mapping[str, Any] | None) -> Share:
    """(first − second) / (first + second) as the share of first, which is what people can picture."""
    if not bias:
        return Share("–", "")
    return _share({"value": (1 + bias["value"]) / 2, "interval": [(1 + bound) / 2 for bound in bias["interval"]]})


def _share(rate: Mapping[str, Any] | None) -> Share:
    if not rate or rate.get("value") is None:
        return Share("–", "")
    return Share(wording.percent(rate["value"]), " to ".join(wording.percent(bound) for bound in rate["interval"]))


def _biased(judges: Sequence[Mapping[str, Any]]) -> str:
    """Which judges lean to a place, in a sentence."""
    leaning: list[str] = []
    for judge in judges:
        bias = judge.get("position_bias")
        if bias and not bias["interval"][0] <= 0 <= bias["interval"][1]:
            leaning.append(f"{one_line(judge['judge'], _NAME)} leans to the text shown {'first' if bias['value'] > 0 else 'second'}")
    if leaning:
        return f"{wording.join(leaning)}: that costs evidence and favours neither model, since a coin says which text stands first."
    if any(judge.get("position_bias") for judge in judges):
        return "No judge can be seen to lean to the text shown first or second."
    return ""


def _known(items: Sequence[Mapping[str, Any]]) -> str:
    if not items:
        return ""
    most = max(items, key=lambda one: one["pairs"])
    return f"{most['pairs']:,} pairs of {wording.count(int(most['sentences']), 'sentence')} whose truth the machine knows"


def _notes(judge: Mapping[str, Any]) -> list[str]:
    """What went wrong with one judge, in sentences."""
    name, notes = one_line(judge["judge"], _NAME), list[str]()
    item = "pair" if judge.get("mode") == "pairwise" else "text"
    if failed := judge.get("failed"):
        kinds = ", ".join(f"{count:,} {one_line(kind, 40)}" for kind, count in failed.items())
        notes.append(f"{name} gave no usable verdict on {wording.count(sum(failed.values()), item)} ({kinds}); they count neither way.")
    if judge.get("asked_again"):
        notes.append(f"{name} was asked about {wording.count(int(judge['asked_again']), item)} once more alone.")
    if judge.get("batches_given_up"):
        notes.append(f"{name} answered batches badly, so from then on it was asked about one {item} at a time.")
    return notes


def labelling(run: Mapping[str, Any]) -> str:
    """How a language model's sentences came about; "" where none was asked."""
    counts: Mapping[str, Any] = run.get("labelling") or {}
    if not counts:
        return ""
    parts = [
        f"A language model read explored pairs in {wording.count(int(counts.get('calls', 0)), 'call')} and proposed "
        f"{wording.count(int(counts.get('proposed', 0)), 'sentence')} that {'was' if counts.get('proposed') == 1 else 'were'} tested"
    ]
    if counts.get("merged"):
        parts.append(f"{counts['merged']:,} more said the same as another")
    if counts.get("split"):
        parts.append(f"{counts['split']:,} held several claims and were split")
    if refused := counts.get("refused"):
        reasons = ", ".join(f"{count:,} {one_line(reason, 60)}" for reason, count in refused.items())
        parts.append(f"{sum(refused.values()):,} could not be used ({reasons})")
    if counts.get("dropped"):
        parts.append(f"{counts['dropped']:,} were over the limit")
    if counts.get("failed"):
        parts.append(f"{wording.count(int(counts['failed']), 'call')} gave nothing usable")
    return "; ".join(parts) + "."


def not_examined(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(what was not looked at beside the findings, why)."""
    told = run.get("not_examined")
    return [(one_line(name, 60), one_line(why, 400)) for name, why in told.items()] if isinstance(told, Mapping) else []
