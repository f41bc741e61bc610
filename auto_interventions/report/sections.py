"""The sections of the page that follow the findings, from the tables of a run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import yaml
from markupsafe import Markup

from auto_interventions.fingerprint import generator
from auto_interventions.report import wording
from auto_interventions.report.certainty import grasped
from auto_interventions.report.plain import one_line, visible
from auto_interventions.report.rendering import safe_json
from auto_interventions.runs import Run

MOST_POINTS = 1_500
_MOST_CLUSTERS = 6


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """A table's rows as plain dictionaries."""
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]


def points(texts: pd.DataFrame, name: str) -> list[dict[str, Any]]:
    """A seeded sample of the embedded texts for the map: {x, y, model, prompt, text}, the last two as one line each."""
    if texts.empty:
        return []
    placed = texts[texts["x"].notna() & texts["y"].notna()]
    if len(placed) > MOST_POINTS:
        chosen = sorted(generator("report", "map", name).permutation(len(placed))[:MOST_POINTS].tolist())
        placed = placed.iloc[chosen]
    return [
        {
            "x": round(float(row.x), 3),  # pyright: ignore[reportArgumentType]
            "y": round(float(row.y), 3),  # pyright: ignore[reportArgumentType]
            "model": str(row.model),
            "prompt": one_line(row.prompt, 100),
            "text": one_line(row.text, 220),
        }
        for row in placed.itertuples()
    ]


def readable(points: Sequence[Mapping[str, Any]]) -> Markup:
    """What the map's script reads beside a point, in the order of the points: [1 if the intervention's, prompt, text]."""
    return safe_json([[int(point["model"] == "intervention"), point["prompt"], point["text"]] for point in points])


def strata(run_strata: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of strata.parquet for table and map, the strongest evidence first. `part`: the kind that a row is a part of, or ""."""
    parents = _parents(run_strata)
    rows = [
        {
            "name": visible(row["stratum"], 80),
            "part": _kind_of_part(str(row["stratum"]), parents),
            "prompts": int(row["prompts"]),
            "pairs": int(row["pairs"]),
            "pair_auc": float(row["pair_auc"]),
            "told": wording.percent(float(row["pair_auc"])),
            "evidence": grasped(float(row["log_e"])),
            "log_e": float(row["log_e"]),
            "divergent": bool(row["divergent"]),
            "example": one_line(row["example_prompt"], 120),
            "x": float(row["x"]),
            "y": float(row["y"]),
        }
        for row in records(run_strata)
    ]
    return sorted(rows, key=lambda row: (-row["log_e"], row["name"]))


def _parents(run_strata: pd.DataFrame) -> dict[str, str]:
    """What each row of strata.parquet is a part of, "" for the kinds of prompts; runs of older versions told it by the name alone."""
    names = stratum_names(run_strata)
    if "part_of" in run_strata:
        return dict(zip(names, map(str, run_strata["part_of"]), strict=True))
    known = set(names)
    return {name: above if (above := name.rpartition(" › ")[0]) in known else "" for name in names}


def _kind_of_part(name: str, parents: Mapping[str, str]) -> str:
    """The kind that a part, or a part of a part, belongs to; "" for a kind."""
    kind = ""
    while name := parents.get(name, ""):
        kind = name
    return visible(kind, 80)


def kinds(strata: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How many rows of `strata` are kinds of prompts, and which are parts of kinds, in words: every other count of the page is of kinds.

    >>> kinds([{"part": ""}, {"part": ""}, {"part": "forest"}, {"part": "forest"}])["told"]
    '2 kinds of prompts, and 2 parts of one of them'
    """
    parts = [row["part"] for row in strata if row["part"]]
    whole, split = len(strata) - len(parts), len(set(parts))
    told = f"{whole:,} {'kind' if whole == 1 else 'kinds'} of prompts"
    if parts:
        told += f", and {len(parts):,} {'part' if len(parts) == 1 else 'parts'} of {wording.count(split, 'of them', 'of them')}"
    return {"told": told, "parts": len(parts), "name": "kinds of prompts and their parts" if parts else "kinds of prompts"}


def clusters(run_clusters: pd.DataFrame, texts: pd.DataFrame) -> list[dict[str, Any]]:
    """The clusters that changed, those with the largest differences of shares; [] for runs of versions that did not test it."""
    if run_clusters.empty or "change" not in run_clusters:
        return []
    moved = [row for row in records(run_clusters) if row["change"] != "unchanged"]
    moved.sort(key=lambda row: row["difference"])
    chosen = [row for row in moved[::-1] if row["difference"] > 0][:_MOST_CLUSTERS] + [row for row in moved if row["difference"] < 0][
        :_MOST_CLUSTERS
    ]
    typical = dict(zip(texts["id"], texts["text"], strict=True)) if not texts.empty else {}
    largest = max((abs(row["difference"]) for row in chosen), default=1.0)
    return [
        {
            "words": one_line(row["words"], 80) or "no words in common",
            "base": wording.percent(float(row["base_share"])),
            "intervention": wording.percent(float(row["intervention_share"])),
            "change": str(row["change"]),
            "points": wording.points(row["difference"]),
            "interval": wording.interval((row["lower"], row["upper"])),
            "grew": row["difference"] > 0,
            "length": round(50 * abs(row["difference"]) / largest, 1),
            "texts": int(row["texts"]),
            "typical": one_line(typical.get(row["typical_text_id"], ""), 240),
        }
        for row in chosen
    ]


def landmarks(run_clusters: pd.DataFrame) -> list[dict[str, Any]]:
    """The clusters to name on the map: the largest moves, each clear of those named before."""
    named: list[dict[str, Any]] = []
    rows = [row for row in records(run_clusters) if math.isfinite(float(row["x"])) and str(row["words"])] if not run_clusters.empty else []
    if not rows:
        return []
    reach = max(max(row[key] for row in rows) - min(row[key] for row in rows) for key in ("x", "y")) or 1.0
    for row in sorted(rows, key=lambda row: -abs(float(row["difference"]))):
        said = {other["words"] for other in named}
        word = next((word for word in str(row["words"]).split(" · ") if one_line(word, 24) not in said), None)
        place = {"x": float(row["x"]), "y": float(row["y"]), "words": one_line(word, 24)}
        if word and all(abs(place["y"] - other["y"]) > 0.07 * reach or abs(place["x"] - other["x"]) > 0.25 * reach for other in named):
            named.append(place)
    return named


def themes(findings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Themes of the validated findings: {title, findings: [{id, text}]}."""
    held = {finding["id"]: finding for finding in wording.validated(findings)}
    grouped: list[dict[str, Any]] = []
    for theme in findings.get("themes") or ():
        own = [held[one] for one in theme.get("findings", ()) if one in held]
        if own:
            listed = [{"id": visible(one["id"], 80), "text": one_line(" ".join(wording.claim(one)), 120)} for one in own]
            grouped.append({"title": one_line(theme.get("title", ""), 80), "findings": listed})
    return grouped


def duration(seconds: float) -> str:
    """Seconds as people say them.

    >>> duration(48.2), duration(132.0), duration(7300.0)
    ('48 s', '2 min 12 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def reproduce(run: Run) -> dict[str, Any]:
    """What somebody needs to get the same answer: the audit file, versions, fingerprints."""
    config: Mapping[str, Any] = run.run.get("config") or {}
    text = yaml.safe_dump(_told(config), sort_keys=False, allow_unicode=True, width=110)
    return {
        "yaml": visible(text),
        "seed": (config.get("sampling") or {}).get("seed"),
        "versions": [(one_line(key, 60), one_line(value, 60)) for key, value in (run.run.get("versions") or {}).items()],
        "fingerprints": [(one_line(key, 60), one_line(value, 80)) for key, value in _flat(run.run.get("fingerprints") or {})],
    }


def _told(value: Any) -> Any:
    """Settings without those that were left empty."""
    if isinstance(value, Mapping):
        kept = {str(key): _told(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item is not None and item not in ({}, [])}
    return [_told(item) for item in value] if isinstance(value, list | tuple) else value


def _flat(value: Mapping[str, Any], before: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for key, item in value.items():
        rows += _flat(item, f"{before}{key}: ") if isinstance(item, Mapping) else [(f"{before}{key}", str(item))]
    return rows


def facts(run: Run) -> list[str]:
    """What the audit looked at, in a line of short facts."""
    prompts: Mapping[str, int] = run.run.get("prompts") or {}
    total: Mapping[str, float] = run.ledger.get("all") or {}
    tested = len(run.findings.get("findings", ()))
    parts = [
        f"{_drawn(run):,} texts" if _drawn(run) else "",
        f"{prompts['explore'] + prompts['confirm']:,} prompts of {prompts['strata']:,} kinds" if prompts.get("explore") else "",
        f"{tested:,} sentences tested" if tested else "",
        duration(run.run["seconds"]) if run.run.get("seconds") else "",
        f"${total['dollars']:,.2f}" if total.get("dollars") else "",
    ]
    return [part for part in parts if part]


def made(run: Run) -> str:
    """What made a run, and when, for those who cite it: "auto-interventions 0.1.0, 2026-11-21"."""
    version = (run.run.get("versions") or {}).get("auto-interventions")
    return one_line(", ".join(part for part in (f"auto-interventions {version}" if version else "", day(run)) if part), 80)


def day(run: Run) -> str:
    """When a run ended, or began if it has not: "2026-11-21"; "" where nobody noted it."""
    return str(run.run.get("finished") or run.run.get("started") or "")[:10]


def _drawn(run: Run) -> int:
    """Texts of both models, those reused from the store among them."""
    return int((run.ledger.get("all") or {}).get("texts", 0))


def stratum_names(run_strata: pd.DataFrame) -> Sequence[str]:
    """Names in the order of the file, which is that of `log_e_strata`."""
    return [str(name) for name in run_strata["stratum"]] if not run_strata.empty else []
