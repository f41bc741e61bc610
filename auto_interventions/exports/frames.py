"""What a run found, as flat pandas frames: one row a finding, a finding and stratum, a round, a stage.

Cells hold what the run holds, hostile texts too: whoever shows them escapes them. Only lone surrogates, which neither pandas nor Parquet
can hold, are their escapes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import pandas as pd

from auto_interventions.exports.shown import pairs_of
from auto_interventions.report import wording
from auto_interventions.report.sentences import intent_of
from auto_interventions.runs import Run

_FINDING_COLUMNS = (
    "id", "finding", "status", "more_in", "base_rate", "intervention_rate", "difference", "lower", "upper", "log_e", "e_value", "p_value",
    "auc", "pairs", "where", "theme", "intent", "source", "judges", "statement", "also",
)  # fmt: skip
_EFFECT_COLUMNS = ("id", "finding", "stratum", "difference", "lower", "upper", "prompts")


def ordered(run: Run) -> list[dict[str, Any]]:
    """Every finding of findings.json as the report lists them: validated ones, the largest first, then the others by their evidence."""
    return wording.validated(run.findings) + wording.rejected(run.findings)


def claim(finding: Mapping[str, Any]) -> str:
    """What the intervention does, in words: "more often mentions “lighthouse”"."""
    return " ".join(wording.claim(finding))


def findings_frame(run: Run) -> pd.DataFrame:
    """One row a sentence that was ever tested, in the report's order. Rates, differences and bounds are shares (0.05 is 5 points)."""
    themes = {str(one): str(theme.get("title", "")) for theme in run.findings.get("themes") or () for one in theme.get("findings", ())}
    rows = [_row(finding, themes) for finding in ordered(run)]
    return _frame(rows, _FINDING_COLUMNS)


def _row(finding: Mapping[str, Any], themes: Mapping[str, str]) -> dict[str, Any]:
    lower, upper = finding["interval"]
    return {
        **{key: finding.get(key) for key in _FINDING_COLUMNS},
        "finding": claim(finding),
        "lower": lower,
        "upper": upper,
        "log_e": wording.log_e_of(finding),
        "where": wording.where(finding),
        "theme": themes.get(str(finding["id"]), ""),
        "intent": intent_of(finding),
        "judges": list(finding.get("judges") or ()),
        "also": list(finding.get("also") or ()),
    }


def effects_frame(run: Run) -> pd.DataFrame:
    """One row a finding and stratum: where it happens."""
    rows = [
        {
            "id": finding["id"],
            "finding": claim(finding),
            "stratum": stratum["stratum"],
            "difference": stratum["difference"],
            "lower": stratum["interval"][0],
            "upper": stratum["interval"][1],
            "prompts": stratum.get("prompts"),
        }
        for finding in ordered(run)
        for stratum in finding.get("strata") or ()
    ]
    return _frame(rows, _EFFECT_COLUMNS)


def ledger_frame(run: Run) -> pd.DataFrame:
    """One row a stage, and the sum `all`: texts, tokens, seconds, calls, dollars."""
    rows = [{"stage": name, **counts} for name, counts in (run.ledger.get("stages") or {}).items()]
    total = run.ledger.get("all")
    rows += [{"stage": "all", **total}] if total else []
    return _frame(rows, tuple(rows[0]) if rows else ("stage",))


def rounds_frame(run: Run) -> pd.DataFrame:
    """One row a round: `phase` explore (texts so far, evidence that the models differ) or confirm (pairs so far, sentences that hold)."""
    explored = [
        {
            "phase": "explore",
            "round": one["round"],
            "texts": one["texts"],
            "log_e": one["log_e_overall"],
            "found": len(one.get("divergent") or ()),
            "pair_auc": one.get("pair_auc"),
        }
        for one in run.run.get("rounds") or ()
    ]
    confirmed = [
        {"phase": "confirm", "round": one["round"], "texts": 2 * one["pairs"], "log_e": one.get("log_e_best"), "found": one["validated"]}
        for one in run.run.get("confirm_rounds") or ()
    ]
    return _frame([*explored, *confirmed], ("phase", "round", "texts", "log_e", "found", "pair_auc"))


def _frame(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> pd.DataFrame:
    held = {column: [holdable(row.get(column)) for row in rows] for column in columns}
    # A column that nobody filled (the p-values of an active audit) is one of missing numbers, not of objects.
    empty = [column for column, values in held.items() if all(value is None for value in values)]
    return pd.DataFrame(held).astype(dict.fromkeys(empty, "float64"))


def holdable(value: Any) -> Any:
    """`value` (JSON-native) with lone surrogates as their escapes: neither Parquet nor strict readers of JSON take them."""
    if isinstance(value, dict):
        return {holdable(key): holdable(one) for key, one in value.items()}
    if isinstance(value, list):
        return [holdable(one) for one in value]
    return value.encode("utf-8", "backslashreplace").decode("utf-8") if isinstance(value, str) else value


def streamed(head: Mapping[str, Any], key: str, rows: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """The consecutive pieces of a JSON object: what is in `head`, then a list called `key`, a row a piece. ASCII alone, without NaN."""
    yield json.dumps(holdable(dict(head)), allow_nan=False).encode()[:-1] + f", {json.dumps(key)}: [\n".encode()
    for place, row in enumerate(rows):
        yield (b",\n" if place else b"") + json.dumps(holdable(dict(row)), allow_nan=False).encode()
    yield b"\n]}\n"


def tables(run: Run) -> dict[str, pd.DataFrame]:
    """Every table of a run by name; those that the audit has not written, or has no use for, are left out."""
    made: dict[str, Callable[[Run], pd.DataFrame]] = {
        "findings": findings_frame,
        "findings_by_stratum": effects_frame,
        "rounds": rounds_frame,
        "ledger": ledger_frame,
    }
    found = {name: make(run) for name, make in made.items()}
    for name in ("texts", "strata", "clusters", "verdicts", "weights"):
        if (run.path / f"{name}.parquet").is_file():
            found[name] = getattr(run, name)
    if "texts" in found:
        found["pairs"] = pairs_of(run)
    return found
