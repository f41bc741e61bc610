"""Which runs are seeds of one cell, an intervention on a bank, and what their columns are called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auto_interventions.fingerprint import canonical_json
from auto_interventions.runs import Run

_SETTINGS = ("temperature", "top_p", "max_new_tokens")
_SAME_BANK = 0.5  # of the smaller run's prompts: recorded texts of the same bank may lie in different files


@dataclass(frozen=True, slots=True)
class Cell:
    """An intervention on a bank, asked with the same settings.

    Attributes:
        label: what tells it from the matrix's other cells.
        runs: numbers of its runs in the matrix, in order.
        seeds: a name for each of them: "seed 3", or the run's folder where seeds are not all different.
    """

    label: str
    base: str
    intervention: str
    bank: str
    runs: tuple[int, ...]
    seeds: tuple[str, ...]


def cells_of(runs: Sequence[Run]) -> tuple[Cell, ...]:
    """The cells of the runs (which have concluded), in the order in which they come first."""
    banks = [canonical_json(bank) for bank in _banks(runs)]
    named: dict[str, str] = {}
    groups: dict[str, list[int]] = {}
    for number, (run, bank) in enumerate(zip(runs, banks, strict=True)):
        named.setdefault(bank, bank_name(run))
        groups.setdefault(canonical_json([_models(run), _settings(run), bank]), []).append(number)
    first = [(runs[numbers[0]], named[banks[numbers[0]]]) for numbers in groups.values()]
    return tuple(
        Cell(label, str(run.findings["base"]), str(run.findings["intervention"]), bank, tuple(numbers), _seeds(runs, numbers))
        for label, (run, bank), numbers in zip(_labels(first), first, groups.values(), strict=True)
    )


def bank_name(run: Run) -> str:
    """What the prompts of a run are called: a published bank's title, a file's name."""
    prompts: Mapping[str, Any] = run.run["config"].get("prompts") or {}
    told: Mapping[str, Any] = (run.run.get("prompts") or {}).get("bank") or {}
    if prompts.get("path"):
        return Path(str(prompts["path"])).stem
    if prompts.get("source") == "recorded":
        texts = (run.run["config"].get("base") or {}).get("texts")
        return Path(str(texts)).stem if texts else "recorded"
    return str(told.get("title") or prompts.get("source") or "prompts")


def _models(run: Run) -> list[object]:
    """Both sides: what they are called, and all that makes them what they are but the file of recorded texts."""
    config = run.run["config"]
    sides: list[object] = [
        {key: value for key, value in (config.get(role) or {}).items() if key not in ("texts", "chat")} for role in ("base", "intervention")
    ]
    return [run.findings["base"], run.findings["intervention"], *sides]


def _settings(run: Run) -> list[object]:
    """How live models are sampled; recorded texts are what they are."""
    config = run.run["config"]
    live = not all((config.get(role) or {}).get("texts") for role in ("base", "intervention"))
    return [config["sampling"].get(key) for key in _SETTINGS] if live else []


def _banks(runs: Sequence[Run]) -> list[object]:
    """A key for each run's bank: its configuration, or the first run with recorded texts that has mostly the same prompts."""
    keys: list[object] = []
    recorded: list[tuple[int, set[str]]] = []
    for number, run in enumerate(runs):
        prompts: Mapping[str, Any] = run.run["config"].get("prompts") or {}
        if prompts.get("source") != "recorded":
            keys.append(dict(prompts))
            continue
        own = set(run.texts["prompt_id"])
        same = [first for first, ids in recorded if len(own & ids) >= _SAME_BANK * max(1, min(len(own), len(ids)))]
        if not same:
            recorded.append((number, own))
        keys.append(["recorded", same[0] if same else number])
    return keys


def _labels(first: Sequence[tuple[Run, str]]) -> list[str]:
    """The shortest that tell the cells apart, from the first run of each and its bank: the intervention, the bank, both; then the base, the
    settings, at last the run's name and folder."""
    parts = [
        (
            str(run.findings["intervention"]),
            bank,
            f"on {run.findings['base']}",
            ", ".join(f"{key} {value}" for key, value in zip(_SETTINGS, _settings(run), strict=False)),
            str(run.run["name"]),
            run.path.name,
        )
        for run, bank in first
    ]
    if not parts:
        return []
    chosen: list[int] = []
    for place in range(len(parts[0])):
        values = {part[place] for part in parts}
        apart = {tuple(part[other] for other in chosen) for part in parts}
        together = {tuple(part[other] for other in (*chosen, place)) for part in parts}
        if len(values) > 1 and len(together) > len(apart):
            chosen.append(place)
    return [" · ".join(part[place] for place in chosen if part[place]) or part[0] for part in parts]


def _seeds(runs: Sequence[Run], numbers: Sequence[int]) -> tuple[str, ...]:
    seeds = [runs[number].run["config"]["sampling"].get("seed") for number in numbers]
    if None not in seeds and len(set(seeds)) == len(seeds):
        return tuple(f"seed {seed}" for seed in seeds)
    names = [runs[number].path.resolve().name for number in numbers]
    repeated = Counter(names)
    return tuple(name if repeated[name] == 1 else str(runs[number].path) for name, number in zip(names, numbers, strict=True))
