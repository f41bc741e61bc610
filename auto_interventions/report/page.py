"""report.html: one file that needs no network, made from the files of a run directory alone.

Everything in it that a model or a user wrote is text: the template engine escapes all, control characters are made visible (`plain`), and a
Content-Security-Policy forbids every request, every form and every script but the page's own. The same directory gives the same page, byte
for byte.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from auto_interventions.records import ROLES
from auto_interventions.report import banks, beside, cards, figures, grid, judges, money, sections, sides, weights, wording
from auto_interventions.report.certainty import grasped, sure
from auto_interventions.report.choices import choices
from auto_interventions.report.drawing import Drawing
from auto_interventions.report.evidence import evidence
from auto_interventions.report.method import method
from auto_interventions.report.pairs import MOST_PAIRS, PAIRS_OPEN
from auto_interventions.report.plain import one_line, visible
from auto_interventions.report.rendering import render
from auto_interventions.runs import Run, RunDirectory, load_run

_DEFAULT_ALPHA = 0.05
MOST_BYTES = 3_000_000
"""Of the file: it is sent by mail and kept in supplements."""
# (example pairs a finding, bytes of pairs to go through): the first that keeps the file small enough.
_PLANS = ((MOST_PAIRS, 1_400_000), (MOST_PAIRS, 700_000), (2, 350_000), (1, 150_000), (0, 0))


def build_report(run_directory: Path) -> Path:
    """Writes report.html of a run, atomically, and gives its path. Works at any time of a run: what is not there yet is left out.

    Raises:
        RunDirectoryError: not a run directory, or a damaged file in it.
        Interrupted: the file cannot be written.
    """
    run = load_run(run_directory)
    context, held = _context(run), wording.validated(run.findings)
    page = ""
    for most_pairs, most_bytes in _PLANS:
        fewer = [replace(card, pairs=card.pairs[:most_pairs]) for card in context["cards"]]
        through = evidence(run, context["texts"], held, most_bytes)
        page = render("report.html.j2", {**context, "cards": fewer, "evidence": through})
        if len(page.encode()) <= MOST_BYTES:
            break
    RunDirectory(run_directory).write_text("report.html", page)
    return run_directory / "report.html"


def _context(run: Run) -> dict[str, Any]:
    """All that the template shows but the pairs to go through."""
    findings = run.findings
    alpha = float(findings.get("alpha") or ((run.run.get("config") or {}).get("inference") or {}).get("alpha") or _DEFAULT_ALPHA)
    held = wording.validated(findings)
    texts = _table(run, "texts")
    labels = {role: one_line(findings.get(role) or run.run.get(role) or role, 60) for role in ROLES}
    verdict = wording.verdict(findings)
    offered, made = choices(findings.get("findings") or ()), sections.made(run)
    return {
        "name": one_line(run.run.get("name", "audit"), 120),
        "labels": labels,
        "verdict": {"kind": verdict.kind, "headline": visible(verdict.headline, 1_200), "detail": visible(verdict.detail, 1_600)},
        "sure": sure(findings),
        "status": run.run.get("status", "running"),
        "stopped_because": visible(run.run.get("stopped_because") or findings.get("stopped_because") or "", 900),
        "day": sections.day(run),
        "facts": sections.facts(run),
        "intent": bool((run.run.get("config") or {}).get("intent")),
        "seconds": sections.duration(run.run["seconds"]) if run.run.get("seconds") else "",
        "alpha": alpha,
        "level": wording.level(alpha),
        "effects": _both(lambda narrow: figures.effects(held, alpha, narrow=narrow)),
        "texts": texts,
        "choices": offered,
        "pairs_open": PAIRS_OPEN,
        "cards": [cards.card(one, texts, labels, alpha, offered, verdicts=run.verdicts, made=made) for one in held],
        "rejected": cards.rates(wording.rejected(findings), offered),
        "method": method(run, alpha),
        "words": beside.words_of(held),
        "published": beside.published(findings.get("findings") or ()),
        "judging": judges.judging(run.run),
        "labelling": judges.labelling(run.run),
        "not_examined": judges.not_examined(run.run),
        "themes": sections.themes(findings),
        "themes_by_rule": one_line(run.run.get("themes_by_source") or "", 300),
        "ledger": money.ledger(run.ledger),
        "guarantee": _guarantee(run, alpha),
        "sides": sides.sides(run, texts, labels),
        "bank": banks.bank(run.run),
        "reproduce": sections.reproduce(run),
        **_where(run, texts, alpha),
        **_weights(run),
    }


def _where(run: Run, texts: pd.DataFrame, alpha: float) -> dict[str, Any]:
    """Maps, strata, clusters and evidence over rounds."""
    table, clusters = _table(run, "strata"), _table(run, "clusters")
    if (run.findings.get("overall") or {}).get("verdict") != "different":
        clusters = clusters.iloc[:0]  # what moved is told only behind the gate: of a hundred clusters some move by chance
    strata = sections.strata(table) if not table.empty else []
    table_of_strata = sections.records(table)
    points = sections.points(texts, str(run.run.get("name")))
    rounds = run.run.get("rounds") or []
    names = sections.stratum_names(table)
    return {
        "map": figures.map_of_texts(points, sections.landmarks(clusters)),
        "map_data": sections.readable(points),
        "map_points": len(points),
        "map_names": not clusters.empty,
        "map_of": int(texts["x"].notna().sum()) if not texts.empty else 0,
        "strata": strata,
        "kinds": sections.kinds(strata),
        "strata_map": figures.map_of_strata(strata),
        "clusters": sections.clusters(clusters, texts),
        "moved": wording.count(int((clusters["change"] != "unchanged").sum()) if "change" in clusters else 0, "", "").strip(),
        "clustering": run.run.get("clustering") or {},
        "rounds": _both(lambda narrow: figures.evidence_rounds(rounds, names, alpha, narrow=narrow)),
        "panels": _both(lambda narrow: figures.strata_panels(rounds, table_of_strata, alpha, narrow=narrow)),
        "grid": grid.grid(wording.validated(run.findings)),
        "decided": figures.decided_after(rounds, alpha),
        "confirmed": next((int(one["pairs"]) for one in run.run.get("confirm_rounds") or [] if one["validated"]), None),
    }


def _weights(run: Run) -> dict[str, Any]:
    """How far the weights themselves moved; None where nobody looked."""
    table = _table(run, "weights")
    told = weights.told(run.run.get("weights") or {}, table)
    measured = told is not None and told["measured"]
    return {"weights": told, "weight_map": _both(lambda narrow: weights.weight_map(table, narrow=narrow)) if measured else []}


def _both(draw: Callable[[bool], Drawing | None]) -> list[Drawing]:
    """The wide and the narrow version of a picture, [] where there is none."""
    return [drawing for drawing in (draw(False), draw(True)) if drawing is not None]


def _guarantee(run: Run, alpha: float) -> dict[str, Any]:
    prompts = run.run.get("prompts") or {}
    overall = run.findings.get("overall") or {}
    return {
        "sentence": visible(run.findings.get("guarantee", ""), 1_200),
        "fixed": any(wording.p_value_of(finding) is not None for finding in run.findings.get("findings", ())),
        "hypotheses": len(run.findings.get("findings", ())),
        "validated": len(wording.validated(run.findings)),
        "needed": f"{1 / alpha:,.4g}",
        "overall": grasped(wording.log_e_of(overall)) if overall else "",
        "share": f"{100 * alpha:.4g}%",
        "explore": prompts.get("explore", 0),
        "confirm": prompts.get("confirm", 0),
        "smallest": _smallest(overall.get("smallest_detectable")),
    }


def _smallest(value: object) -> str:
    return wording.points(float(value), sign=False) if isinstance(value, int | float) and value < 1 else ""


def _table(run: Run, name: str) -> pd.DataFrame:
    """A table of the run; empty where the audit has not got that far."""
    if not (run.path / f"{name}.parquet").is_file():
        return pd.DataFrame()
    table: pd.DataFrame = getattr(run, name)
    return table
