"""What an audit cost, as tables: by stage, by language model, by sentence. From ledger.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from auto_interventions.report.plain import one_line, visible

COLUMNS: tuple[tuple[str, str], ...] = (
    ("texts", "texts"),
    ("texts_reused", "texts reused"),
    ("tokens", "tokens"),
    ("seconds", "seconds"),
    ("embeddings_computed", "embeddings computed"),
    ("embeddings_cached", "embeddings reused"),
    ("judge_calls", "checks and judge calls"),
    ("judge_calls_cached", "of them reused"),
    ("calls", "calls of language models"),
    ("calls_cached", "of them reused"),
    ("calls_failed", "of them failed"),
    ("dollars", "dollars"),
)
_ALWAYS = ("texts", "tokens", "seconds", "dollars")
_OF_MODEL: tuple[tuple[str, str], ...] = (
    ("calls", "calls"),
    ("cached", "reused besides"),
    ("failed", "failed"),
    ("repairs", "repaired"),
    ("input_tokens", "tokens read"),
    ("output_tokens", "tokens written"),
    ("dollars", "dollars"),
    ("dollars_unsure", "at most more, for lost replies"),
    ("dollars_saved", "saved by reuse"),
)
_OF_MODEL_ALWAYS = ("calls", "input_tokens", "output_tokens", "dollars")


def ledger(content: Mapping[str, Any]) -> dict[str, Any] | None:
    """The ledger as tables: `columns`, `rows` (one a stage) and `total`; `models` and `hypotheses` likewise, None where no language model
    was asked; `before`: what earlier attempts cost."""
    stages: Mapping[str, Mapping[str, float]] = content.get("stages") or {}
    if not stages:
        return None
    # A column that is nought everywhere says nothing, except for money: that it cost nothing is worth saying.
    used = _used(COLUMNS, _ALWAYS, list(stages.values()))
    total = _row(used, content.get("all") or {})
    return {
        "columns": [title for _, title in used],
        "rows": [(one_line(name, 60), _row(used, counts)) for name, counts in stages.items()],
        "total": [cell if key != "dollars" or cell != "–" else "$0" for cell, (key, _) in zip(total, used, strict=True)],
        "models": _models(content.get("models") or {}),
        "hypotheses": _hypotheses(content.get("hypotheses") or {}),
        "before": amount("dollars", content["dollars_before"]) if content.get("dollars_before") else "",
    }


def _models(models: Mapping[str, Mapping[str, Any]]) -> dict[str, Any] | None:
    counted = {name: {**counts, "failed": sum((counts.get("failures") or {}).values())} for name, counts in models.items()}
    if not counted:
        return None
    used = _used(_OF_MODEL, _OF_MODEL_ALWAYS, list(counted.values()))
    dearest = sorted(counted.items(), key=lambda item: (-item[1].get("dollars", 0), item[0]))
    return {"columns": [title for _, title in used], "rows": [(one_line(name, 80), _row(used, counts)) for name, counts in dearest]}


def _hypotheses(hypotheses: Mapping[str, Mapping[str, Any]]) -> dict[str, Any] | None:
    """What judging each sentence cost, the dearest first, by judge."""
    spent = sorted(hypotheses.items(), key=lambda item: (-item[1].get("dollars", 0), item[0]))
    judges = list(dict.fromkeys(judge for _, own in spent for judge in own.get("by_judge") or {}))
    if not judges:
        return None
    rows = [
        (
            visible(own.get("statement", ""), 300),
            [*(_calls((own.get("by_judge") or {}).get(judge)) for judge in judges), amount("dollars", own["dollars"])],
        )
        for _, own in spent
    ]
    return {"columns": [*(f"calls of {one_line(judge, 60)}" for judge in judges), "dollars"], "rows": rows}


def _calls(own: Mapping[str, Any] | None) -> str:
    """Calls of one judge about one sentence, those from the store apart."""
    if not own:
        return "–"
    reused = f" + {own['cached']:,} reused" if own.get("cached") else ""
    return f"{own.get('calls', 0):,}{reused}"


def _used(columns: Sequence[tuple[str, str]], always: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    return [(key, title) for key, title in columns if key in always or any(own.get(key) for own in rows)]


def _row(used: Sequence[tuple[str, str]], counts: Mapping[str, Any]) -> list[str]:
    return [amount(key, counts.get(key, 0)) for key, _ in used]


def amount(key: str, value: float) -> str:
    """A cell of the ledger: money in cents, small sums in hundredths of them.

    >>> amount("dollars", 3.2), amount("dollars", 0.0041), amount("dollars", 1e-6), amount("calls", 1200), amount("texts", 0)
    ('$3.20', '$0.0041', '<$0.0001', '1,200', '–')
    """
    if not value:
        return "–"
    if key.startswith("dollars"):
        return f"${value:,.2f}" if value >= 0.1 else f"${value:.4f}" if value >= 0.00005 else "<$0.0001"
    return f"{value:,.1f}" if key == "seconds" else f"{value:,.0f}"
