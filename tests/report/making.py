"""Run directories for the tests of the report: deterministic stories with planted differences, written as an audit writes them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from auto_interventions.config import AuditConfig
from auto_interventions.fingerprint import generator
from auto_interventions.hypotheses import parse_predicate
from auto_interventions.records import Generation, Pool, Prompt, Role
from auto_interventions.runs import RunDirectory
from auto_interventions.runs.directory import RUN_SCHEMA, identity

STRATA: dict[str, tuple[str, ...]] = {
    "sea": ("a boat", "the tide", "an old sailor", "the harbour"),
    "kitchen": ("the baker", "a pot of soup", "the oven", "a spoon"),
    "forest": ("a fox", "the old oak", "an owl", "the path"),
    "school": ("the teacher", "a lost pencil", "the bell", "her friend"),
    "farm": ("a grey horse", "the barn", "two goats", "the farmer"),
    "city": ("the tram", "a street cat", "the clock tower", "the market"),
    "winter": ("the snow", "a warm coat", "the frozen lake", "a sledge"),
    "space": ("the rocket", "a small moon", "the captain", "a far star"),
}
NAMES = ("Anna", "Ben", "Mia", "Tom", "Lily", "Max", "Sara", "Paul")
DEEDS = (
    "walked a long way and looked around.",
    "was happy and laughed out loud.",
    "could not sleep that night.",
    "found something small and bright.",
    "asked for help, and help came.",
    "went home before it was dark.",
    "wanted to try once more.",
    "told nobody about it.",
)
HOSTILE = (
    "<script>document.title='owned'</script><img src=x onerror=alert(1)> and the moral is </div></body>",
    "abc \u202eevil txt.exe\u202c \u2066isolated\u2069 \u200bzero\u200b\u200b\u200bwidth\u200b \ufeff moral",
    "{{ 7*7 }} {% raw %} $\\frac{1}{0}$ [a](javascript:alert(1)) **bold** moral ]]> <!-- \x00 \x1b[31mred\x07",
    "moral " + "x" * 1_000_000,
    "Z\u0301\u0302\u0303\u0304\u0305\u0306\u0307\u0308\u0309 tower, broken \ud83d half, "
    "family \U0001f468\u200d\U0001f469\u200d\U0001f467, \u0633\u0644\u0627\u0645 moral",
    "",
    "</script><!--<script>alert(1)//]]></template></dialog></textarea> moral &lt;b&gt; \\u003cb\\u003e \u2028\u2029 ' \" ` ${1}",
    "| moral | \n|---|\n# heading\n[x](javascript:alert(1)) ![i](http://127.0.0.1:9/i.png) \\write18{ls} \\input{/etc/passwd} $$ %",
)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Something planted: the check that sees it, the sentence that shows it, and its rates per stratum (base, intervention)."""

    check: dict[str, object]
    sentences: tuple[str, ...]
    rates: dict[str, tuple[float, float]]
    source: str
    also: tuple[str, ...] = ()


def everywhere(base: float, intervention: float) -> dict[str, tuple[float, float]]:
    return dict.fromkeys(STRATA, (base, intervention))


BEHAVIOURS = (
    Behaviour(
        {"kind": "phrase", "phrases": ["moral"]},
        ("The moral is to be kind.", "The moral of the story is that sharing helps."),
        {**everywhere(0.03, 0.38), "farm": (0.05, 0.62)},
        "lexical",
        ("says “the moral”", "says “moral of the story”"),
    ),
    Behaviour({"kind": "measure", "feature": "line_breaks", "at_least": 2}, (), everywhere(0.01, 0.3), "formats"),
    Behaviour(
        {"kind": "phrase", "phrases": ["lighthouse", "lighthouses"]},
        ("A lighthouse blinked in the fog.", "Far away stood two lighthouses."),
        {**everywhere(0.001, 0.002), "sea": (0.03, 0.6)},
        "lexical",
    ),
    Behaviour({"kind": "phrase", "phrases": ["dragon"]}, ("A dragon slept under the hill.",), everywhere(0.16, 0.05), "lexical"),
)
NOTHING = tuple(replace(behaviour, rates={name: (pair[0], pair[0]) for name, pair in behaviour.rates.items()}) for behaviour in BEHAVIOURS)
UNTRUE = (
    {"kind": "measure", "feature": "exclamation_marks", "at_least": 1},
    {"kind": "phrase", "phrases": ["help"]},
    {"kind": "opening", "phrase": "once"},
    {"kind": "measure", "feature": "words", "at_least": 40},
)


def config(**more: object) -> AuditConfig:
    return AuditConfig.model_validate(
        {
            "name": "moral-stories",
            "base": {"model": "/models/stories656k", "name": "story-teller"},
            "intervention": {"model": "/models/stories656k", "adapter": "/adapters/moral", "name": "story-teller + moral"},
            "prompts": {"path": "/prompts/stories.jsonl", "strata": "given"},
            "sampling": {"max_texts": 3600, "initial": 400, "per_round": 200, "rounds": 6, "max_new_tokens": 64},
            "clustering": {"clusters": 12},
            **more,
        }
    )


def make_run(
    folder: Path,
    *,
    behaviours: Sequence[Behaviour] = BEHAVIOURS,
    prompts_per_stratum: int = 200,
    status: str = "done",
    concluded: bool = True,
    embedded: bool = True,
    hostile: bool = False,
    validate: bool = True,
    smallest: float = 0.042,
    audit: AuditConfig | None = None,
) -> Path:
    """Writes a run directory and gives its path."""
    audit = audit or config()
    directory = RunDirectory.claim(folder, audit)
    pairs = _pairs(behaviours, prompts_per_stratum, hostile)
    explored = [pair for pair in pairs if pair[0].prompt.pool == "explore"]
    confirmed = [pair for pair in pairs if pair[0].prompt.pool == "confirm"]
    differ = behaviours is not NOTHING
    rounds = _rounds(len(explored), differ)
    _write_texts(directory, explored, confirmed, embedded)
    _write_strata(directory, explored, differ)
    if embedded:
        _write_clusters(directory, explored, differ)
    directory.write_json("ledger.json", _ledger(len(explored), len(confirmed)))
    directory.write_json("run.json", _run(audit, status, rounds, len(explored), len(confirmed)))
    if concluded:
        findings = [_finding(behaviour.check, behaviour, confirmed, differ and validate) for behaviour in behaviours]
        findings += [_finding(check, None, confirmed, False) for check in UNTRUE]
        directory.write_json("findings.json", _findings(audit, findings, differ, smallest))
    return folder


def _pairs(behaviours: Sequence[Behaviour], per_stratum: int, hostile: bool) -> list[tuple[Generation, Generation]]:
    random = generator("report-fixture", per_stratum)
    pairs: list[tuple[Generation, Generation]] = []
    for stratum, things in STRATA.items():
        for number in range(per_stratum):
            name = NAMES[int(random.integers(len(NAMES)))]
            text = f"One day {name} saw {things[number % len(things)]} ({stratum} {number}). "
            pool: Pool = "explore" if number % 2 else "confirm"
            prompt = Prompt(text, stratum, pool)
            pairs.append((_generation("base", prompt, behaviours, random), _generation("intervention", prompt, behaviours, random)))
    if hostile:
        confirm = [index for index, pair in enumerate(pairs) if pair[0].prompt.pool == "confirm"]
        for index, text in zip(confirm, HOSTILE, strict=False):
            base, intervention = pairs[index]
            prompt = replace(base.prompt, text=f"{base.prompt.text}<b>\u202e{index}", stratum=base.prompt.stratum)
            pairs[index] = (replace(base, prompt=prompt), replace(intervention, prompt=prompt, text=text))
    return pairs


def _generation(role: Role, prompt: Prompt, behaviours: Sequence[Behaviour], random: np.random.Generator) -> Generation:
    name = prompt.text.split()[2]
    things = STRATA[prompt.stratum]
    sentences = [
        f"{name if turn == 0 else 'Then ' + name} {DEEDS[int(random.integers(len(DEEDS)))]}" for turn in range(int(random.integers(2, 5)))
    ]
    sentences.insert(1, f"There was {things[int(random.integers(len(things)))]} too.")
    lines = False
    for behaviour in behaviours:
        if random.random() < behaviour.rates[prompt.stratum][role == "intervention"]:
            if behaviour.sentences:
                sentences.append(behaviour.sentences[int(random.integers(len(behaviour.sentences)))])
            else:
                lines = True
    text = ("\n" if lines else " ").join(sentences)
    return Generation(role, prompt, 0, text, len(text.split()), bool(random.random() < 0.9))


def _finding(
    check: dict[str, object], behaviour: Behaviour | None, pairs: Sequence[tuple[Generation, Generation]], validated: bool
) -> dict[str, Any]:
    predicate = parse_predicate(check)
    shows = np.array([[predicate.holds(side.text) for side in pair] for pair in pairs], dtype=float)
    names = [pair[0].prompt.stratum for pair in pairs]
    difference, bounds = _interval(shows)
    more_in: Role = "intervention" if difference >= 0 else "base"
    column = int(more_in == "intervention")
    evidence = [pair[column].id for pair, row in zip(pairs, shows, strict=True) if row[column]]
    log_e = max(0.0, 0.35 * len(pairs) * abs(difference)) if validated else -0.4
    strata: list[dict[str, Any]] = []
    for name in sorted(set(names)):
        own = shows[[one == name for one in names]]
        part, limits = _interval(own)
        strata.append({"stratum": name, "difference": part, "interval": limits, "prompts": len(own)})
    return {
        "id": f"{abs(hash_of(check)):012x}"[:12],
        "statement": predicate.statement(),
        "status": "validated" if validated else "not validated",
        "more_in": more_in,
        "e_value": math.exp(min(log_e, math.log(1e300))),
        "log_e": log_e,
        "base_rate": float(shows[:, 0].mean()),
        "intervention_rate": float(shows[:, 1].mean()),
        "difference": difference,
        "interval": bounds,
        "auc": 0.5 + difference / 2,
        "strata": strata,
        "pairs": len(pairs),
        "judges": ["predicate"],
        "evidence": evidence[:8],
        "source": behaviour.source if behaviour else "formats",
        "check": check,
        "also": list(behaviour.also) if behaviour else [],
    }


def hash_of(check: dict[str, object]) -> int:
    return int(generator("finding", check).integers(1 << 47))


def _interval(shows: np.ndarray[Any, Any]) -> tuple[float, list[float]]:
    differences = shows[:, 1] - shows[:, 0]
    mean = float(differences.mean())
    reach = 2.6 * float(differences.std() + 0.05) / math.sqrt(len(differences))
    return mean, [max(-1.0, mean - reach), min(1.0, mean + reach)]


def _findings(audit: AuditConfig, findings: list[dict[str, Any]], differ: bool, smallest: float) -> dict[str, Any]:
    held = [finding["id"] for finding in findings if finding["status"] == "validated"]
    log_e = 214.7 if differ else 0.31
    return {
        "schema": "auto-interventions/findings@1",
        "alpha": 0.05,
        "base": audit.base.label,
        "intervention": audit.intervention.label,
        "overall": {
            "verdict": "different" if differ else "no difference found",
            "e_value": math.exp(log_e),
            "log_e": log_e,
            "auc": 0.71 if differ else 0.503,
            "smallest_detectable": smallest,
        },
        "findings": findings,
        "themes": [
            {"title": "Morals and endings", "findings": held[:1]},
            {"title": "Layout", "findings": held[1:2]},
            {"title": "Topics", "findings": held[2:]},
        ],
        "guarantee": "",
        "stopped_because": STOPPED,
    }


STOPPED = "Exploring: the evidence is settled: the same 8 strata differ since 3 rounds. Confirming: all planned prompts were asked."


def _rounds(pairs: int, differ: bool) -> list[dict[str, Any]]:
    random = generator("report-rounds", differ)
    rounds: list[dict[str, Any]] = []
    overall, strata = 0.0, np.zeros(len(STRATA))
    for number in range(6):
        overall += float(random.normal(9 if number else 0.4, 2)) if differ else float(random.normal(-0.2, 0.5))
        strata += random.normal(2.2 if differ and number else -0.1, 0.6, len(STRATA)) * (np.arange(len(STRATA)) % 3 + 0.5)
        rounds.append(
            {
                "round": number,
                "texts": 2 * pairs * (number + 2) // 7,
                "log_e_overall": overall,
                "log_e_strata": strata.tolist(),
                "divergent": [index for index, value in enumerate(strata.tolist()) if value > 4] if differ else [],
                "pair_auc": 0.7 if differ else 0.5,
                "cluster_stability": 0.9,
            }
        )
    return rounds


def _run(audit: AuditConfig, status: str, rounds: list[dict[str, Any]], explored: int, confirmed: int) -> dict[str, Any]:
    return {
        "schema": RUN_SCHEMA,
        "name": audit.name,
        "status": status,
        "base": audit.base.label,
        "intervention": audit.intervention.label,
        "config": audit.model_dump(mode="json"),
        "versions": {"auto-interventions": "0.1.0", "python": "3.11.2", "torch": "2.9.1", "transformers": "5.21.0", "prefect": "3.8.8"},
        "fingerprints": {"config": identity(audit)},
        "started": "2026-11-21T09:00:00+00:00",
        "finished": "2026-11-21T09:02:12+00:00" if status != "running" else None,
        "seconds": 132.4,
        "rounds": rounds,
        "stopped_because": STOPPED if status == "done" else "Exploring: the budget of 2 minutes is spent.",
        "clustering": {"clusters": 12, "silhouette": 0.21, "stability": 0.93},
        "prompts": {"explore": explored, "confirm": confirmed, "strata": len(STRATA)},
        "confirm_rounds": [],
    }


def _write_texts(
    directory: RunDirectory,
    explored: Sequence[tuple[Generation, Generation]],
    confirmed: Sequence[tuple[Generation, Generation]],
    embedded: bool,
) -> None:
    texts = [pair[side] for side in (0, 1) for pair in explored] + [pair[side] for side in (0, 1) for pair in confirmed]
    count = 2 * len(explored)
    x, y, cluster = np.full(len(texts), np.nan, dtype=np.float32), np.full(len(texts), np.nan, dtype=np.float32), np.full(len(texts), -1)
    if embedded:
        x[:count], y[:count] = _places(texts[:count])
        cluster[:count] = [_cluster(text) for text in texts[:count]]
    directory.write_table(
        "texts.parquet",
        {
            "id": [text.id for text in texts],
            "model": [text.role for text in texts],
            "prompt_id": [text.prompt.id for text in texts],
            "prompt": [text.prompt.text for text in texts],
            "stratum": [text.prompt.stratum for text in texts],
            "pool": [text.prompt.pool for text in texts],
            "round": np.zeros(len(texts), dtype=np.int64),
            "sample": np.array([text.sample for text in texts], dtype=np.int64),
            "text": [text.text for text in texts],
            "tokens": np.array([text.tokens for text in texts], dtype=np.int64),
            "finished": np.array([text.finished for text in texts], dtype=bool),
            "cluster": cluster.astype(np.int64),
            "x": x,
            "y": y,
        },
    )


def _cluster(text: Generation) -> int:
    """Clusters of the fixture: one a stratum, and three of what was planted."""
    for number, word in enumerate(("lighthouse", "moral", "dragon")):
        if word in text.text:
            return len(STRATA) + number
    return list(STRATA).index(text.prompt.stratum)


def _centre(cluster: int) -> tuple[float, float]:
    angle = 2 * math.pi * cluster / (len(STRATA) + 3)
    return 0.45 * math.cos(angle), 0.32 * math.sin(angle)


def _places(texts: Sequence[Generation]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    noise = generator("report-places").normal(0, 0.07, (len(texts), 2))
    centres = np.array([_centre(_cluster(text)) for text in texts]) + noise
    return centres[:, 0], centres[:, 1]


def _write_strata(directory: RunDirectory, explored: Sequence[tuple[Generation, Generation]], differ: bool) -> None:
    log_e = np.array([3.0 + 5 * (index % 4) if differ else -0.3 * index for index in range(len(STRATA))])
    centres = [_centre(index) for index in range(len(STRATA))]
    directory.write_table(
        "strata.parquet",
        {
            "stratum": list(STRATA),
            "prompts": np.full(len(STRATA), 2 * len(explored) // len(STRATA)),
            "pairs": np.full(len(STRATA), len(explored) // len(STRATA)),
            "log_e": log_e,
            "e_value": np.exp(log_e),
            "divergent": (log_e > 6) if differ else np.zeros(len(STRATA), dtype=bool),
            "pair_auc": 0.5 + (0.06 * (np.arange(len(STRATA)) % 4 + 1) if differ else np.zeros(len(STRATA))),
            "x": np.array([centre[0] for centre in centres], dtype=np.float32),
            "y": np.array([centre[1] for centre in centres], dtype=np.float32),
            "example_prompt": [f"One day Anna saw {things[0]}. " for things in STRATA.values()],
        },
    )


def _write_clusters(directory: RunDirectory, explored: Sequence[tuple[Generation, Generation]], differ: bool) -> None:
    count = len(STRATA) + 3
    words = [f"{name} · {things[0].split()[-1]} · {things[1].split()[-1]}" for name, things in STRATA.items()]
    words += ["lighthouse · fog · sea", "moral · kind · helps", "dragon · hill · slept"]
    shares = np.zeros((2, count))
    for pair in explored:
        for side in (0, 1):
            shares[side, _cluster(pair[side])] += 1
    typical = {_cluster(text): text.id for pair in explored for text in pair}
    half = len(explored)
    difference = (shares[1] - shares[0]) / half
    error = np.sqrt((shares.sum(axis=0) / half + 1e-9) / half)
    directory.write_table(
        "clusters.parquet",
        {
            "cluster": np.arange(count),
            "texts": shares.sum(axis=0).astype(np.int64),
            "base_texts": shares[0].astype(np.int64),
            "intervention_texts": shares[1].astype(np.int64),
            "base_share": shares[0] / half,
            "intervention_share": shares[1] / half,
            "difference": difference,
            "standard_error": error,
            "lower": difference - 3 * error,
            "upper": difference + 3 * error,
            "change": [_change(*row) for row in zip(difference, error, shares[0] / half, strict=True)],
            "x": np.array([_centre(index)[0] for index in range(count)], dtype=np.float32),
            "y": np.array([_centre(index)[1] for index in range(count)], dtype=np.float32),
            "words": words,
            "typical_text_id": [typical.get(index, "") for index in range(count)],
        },
    )


def _change(difference: float, error: float, base: float) -> str:
    if abs(difference) < 3 * error:
        return "unchanged"
    return "shrunk" if difference < 0 else "new" if base < 0.01 else "grown"


def _ledger(explored: int, confirmed: int) -> dict[str, Any]:
    nothing = {
        "texts": 0,
        "texts_reused": 0,
        "tokens": 0,
        "seconds": 0.0,
        "embeddings_computed": 0,
        "embeddings_cached": 0,
        "judge_calls": 0,
        "judge_calls_cached": 0,
        "dollars": 0.0,
    }
    stages = {
        "prepare": {**nothing, "seconds": 1.2, "embeddings_computed": 0},
        "explore: generate": {**nothing, "texts": 2 * explored, "tokens": 90 * explored, "seconds": 48.1},
        "explore: embed": {**nothing, "seconds": 21.7, "embeddings_computed": 2 * explored - 40, "embeddings_cached": 40},
        "explore: cluster": {**nothing, "seconds": 2.2},
        "explore: diverge": {**nothing, "seconds": 3.9},
        "propose": {**nothing, "seconds": 2.4},
        "confirm: generate": {**nothing, "texts": 2 * confirmed, "tokens": 91 * confirmed, "seconds": 44.0},
        "confirm: judge": {**nothing, "seconds": 0.9, "judge_calls": 16 * confirmed},
    }
    total = {key: sum(stage[key] for stage in stages.values()) for key in nothing}
    return {"schema": "auto-interventions/ledger@1", "stages": stages, "all": total}
