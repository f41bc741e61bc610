"""A Hugging Face dataset folder: Parquet files and the card that says what they are. `datasets.load_dataset(FOLDER, "pairs")` reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import yaml

from auto_interventions.exports import written
from auto_interventions.exports.frames import tables
from auto_interventions.exports.tabular import columns_of
from auto_interventions.report.markdown import escaped
from auto_interventions.report.plain import one_line
from auto_interventions.runs import Run, RunDirectory

CARD, DATA = "README.md", "data"
# Each configuration, the column that splits it (None: one split, called as its second word), and what a row is.
_CONFIGS: Mapping[str, tuple[str | None, str, str]] = {
    "findings": (None, "tested", "every sentence that was tested: rates of both models, difference, interval, evidence"),
    "findings_by_stratum": (None, "tested", "a sentence on one kind of prompts"),
    "pairs": ("pool", "", "both models’ texts to one prompt; `explore` chose the sentences, `confirm` tested them"),
    "clusters": (None, "explored", "a cluster of explored texts, and its share under both models"),
}


def write_hub_folder(run: Run, folder: RunDirectory) -> list[str]:
    """Card and Parquet files; their names."""
    held = tables(run)
    splits: dict[str, dict[str, pd.DataFrame]] = {}
    for name, (column, split, _) in _CONFIGS.items():
        table = held.get(name)
        if table is None or table.empty:
            continue
        parts = {split: table} if column is None else {str(key): part for key, part in table.groupby(column, sort=False)}
        splits[name] = parts
    files: dict[str, list[dict[str, str]]] = {}
    for name, parts in splits.items():
        for split, part in parts.items():
            path = f"{DATA}/{name}-{split}.parquet"
            folder.write_table(path, columns_of(part))
            files.setdefault(name, []).append({"split": split, "path": path})
    folder.write_text(CARD, _card(run, files, splits))
    return [CARD, *(one["path"] for paths in files.values() for one in paths)]


def _card(run: Run, files: Mapping[str, list[dict[str, str]]], splits: Mapping[str, Mapping[str, pd.DataFrame]]) -> str:
    name, base, intervention = (one_line(run.run.get(key, key), 120) for key in ("name", "base", "intervention"))
    head: dict[str, Any] = {
        "pretty_name": f"{name}: what changed from {base} to {intervention}",
        "license": "unknown",
        "tags": ["auto-interventions", "model-comparison", "llm-evaluation"],
        "configs": [
            {"config_name": key, **({"default": True} if key == "findings" else {}), "data_files": paths} for key, paths in files.items()
        ],
    }
    rows = [
        f"| `{key}` | {', '.join(f'{split} ({len(part):,})' for split, part in splits[key].items())} | {_CONFIGS[key][2]} |"
        for key in files
    ]
    blocks = [
        f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}---",
        written.markdown(run).strip(),
        "## What is in it",
        "\n".join(["| configuration | splits (rows) | a row is |", "| --- | --- | --- |", *rows]),
        _MADE.format(version=escaped((run.run.get("versions") or {}).get("auto-interventions", ""), 40)),
    ]
    return "\n\n".join(blocks) + "\n"


_MADE = (
    "Rates, differences and bounds are shares; `log_e` is the natural logarithm of the e-value. Made by Auto\\-Interventions {version}. "
    "Prompts and texts are under the licences of their bank and of the models that wrote them; nothing in them was checked or removed: "
    "look  at them before you publish this folder."
)
