"""What an audit recovered of known behaviours: recall, and the realised false discovery rate.

A planted behaviour counts as *recovered* when a validated finding points the right way and means the same: its check is the
behaviour's own, or the two checks agree on the run's texts of the intervention (phi ≥ 0.5). Less of the opposite points the right
way too: “starts with a space”, −33%, is the finding “breaks lines”, +33%.

A validated finding that matches no behaviour is not false for that alone: a planted moral also makes stories longer and brings its
own words. It is *explained* where its check is tied to the plants (|phi| ≥ 0.5 with “shows any planted behaviour”), or where its
difference is gone (the 95% interval, clustered by prompt, holds 0) once the pairs in which either text shows a plant are left
out. What is neither is a *side effect* of planting if it shows again on fresh texts (`reproducing`), else a false discovery.

Beside this rule stand two ways that read sentences instead of counting texts (`matching`): by embeddings and by a language model.
Behaviours without a check (quirks that a judge measured, misconceptions) can be recovered by these alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from auto_interventions.audit_file import read_yaml
from auto_interventions.errors import ConfigError
from auto_interventions.hypotheses.asking import matrix
from auto_interventions.hypotheses.predicates import parse_predicate
from auto_interventions.llm.asking import Asker
from auto_interventions.planting.matching import Matches, by_embedding, by_judge
from auto_interventions.planting.measuring import check_truth
from auto_interventions.planting.reproducing import reproduced
from auto_interventions.records import BoolArray
from auto_interventions.runs import Run, load_run

_SAME = 0.5  # phi from which two checks count as the same behaviour


@dataclass(frozen=True, slots=True)
class Recovery:
    """What became of one planted behaviour."""

    behaviour: str
    kind: str
    description: str
    recovered: bool
    true_difference: float
    finding: str | None = None
    statement: str | None = None
    difference: float | None = None
    interval: tuple[float, float] | None = None
    covers: bool | None = None
    agreement: float | None = None
    by: dict[str, str | None] = field(default_factory=dict[str, str | None])
    """Way (check, embedding, judge) → the finding that it takes for the behaviour; ways that were not asked are left out."""


@dataclass(frozen=True, slots=True)
class Discovery:
    """What a validated finding is: planted, explained by a plant, a side effect, or false."""

    finding: str
    statement: str
    origin: str


@dataclass(frozen=True, slots=True)
class Score:
    """Recall over the planted behaviours (None for the null), and the share of validated findings that are false."""

    intervention: str
    recall: float | None
    false_discovery_rate: float
    behaviours: tuple[Recovery, ...]
    validated: tuple[Discovery, ...]
    recall_by: dict[str, float] = field(default_factory=dict[str, float])
    """Way → the share of the behaviours that it recovers; of those with a check, for the way `check`."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def score(run: Path, truth: Path, embedding: bool = False, judge: Asker | None = None) -> Score:
    """Scores a run directory against a truth file.

    Args:
        run: a run directory that has concluded.
        truth: the truth file of its intervention.
        embedding: also match by the embeddings of sentences; done in any case where a behaviour has no check and there is no judge.
        judge: a language model that also matches findings and behaviours.

    Raises:
        RunDirectoryError: the run cannot be read, or has not concluded.
        ConfigError: the truth file is wrong, or knows nothing of the run's intervention.
        ChatError, Interrupted: the judge cannot be asked.
    """
    loaded = load_run(run)
    entry = _entry(loaded, check_truth(read_yaml(truth), truth), truth)
    loaded.check_concluded()
    validated = [finding for finding in loaded.findings["findings"] if finding["status"] == "validated"]
    behaviours: list[dict[str, Any]] = entry["behaviours"]
    texts = loaded.texts
    planted = _held({behaviour["id"]: behaviour["check"] for behaviour in behaviours if behaviour["check"]}, texts)
    checks = _held({finding["id"]: finding["check"] for finding in validated if finding.get("check")}, texts)
    ways: dict[str, Matches] = {} if judge is None else {"judge": by_judge(judge, behaviours, validated)}
    if embedding or (judge is None and len(planted) < len(behaviours)):
        ways["embedding"] = by_embedding(behaviours, validated)
    recoveries = tuple(_recovery(behaviour, planted.get(behaviour["id"]), validated, checks, texts, ways) for behaviour in behaviours)
    meant = {identifier: name for found in ways.values() for name, (identifier, _) in found.items() if name not in planted}
    discoveries = tuple(_discovery(finding, behaviours, planted, checks, texts, meant) for finding in validated)
    if behaviours:
        suspects = {discovery.finding for discovery in discoveries if discovery.origin == "false"} & checks.keys()
        again = reproduced(loaded, {finding["id"]: finding for finding in validated if finding["id"] in suspects})
        discoveries = tuple(replace(one, origin="side effect") if again.get(one.finding) else one for one in discoveries)
    false = sum(discovery.origin == "false" for discovery in discoveries)
    return Score(
        intervention=entry["name"],
        recall=sum(recovery.recovered for recovery in recoveries) / len(recoveries) if recoveries else None,
        false_discovery_rate=false / len(discoveries) if discoveries else 0.0,
        behaviours=recoveries,
        validated=discoveries,
        recall_by=_recall_by(recoveries),
    )


def _recall_by(recoveries: Sequence[Recovery]) -> dict[str, float]:
    found: dict[str, float] = {}
    for way in ("check", "embedding", "judge"):
        asked = [recovery.by[way] is not None for recovery in recoveries if way in recovery.by]
        if asked:
            found[way] = sum(asked) / len(asked)
    return found


def score_table(result: Score) -> str:
    """The score in lines of text."""
    lines = [f"Intervention “{result.intervention}”"]
    for recovery in result.behaviours:
        lines.append(f"  {'found ' if recovery.recovered else 'MISSED'}  {recovery.behaviour} ({recovery.kind}): {recovery.description}")
        if recovery.interval is not None and recovery.difference is not None:
            low, high = recovery.interval
            covers = "covers" if recovery.covers else "does not cover"
            lines.append(
                f"          “{recovery.statement}”: {recovery.difference:+.1%} (interval {low:+.1%} to {high:+.1%}), "
                f"which {covers} the measured {recovery.true_difference:+.1%}"
            )
    lines += [f"  side effect of planting: “{discovery.statement}”" for discovery in result.validated if discovery.origin == "side effect"]
    lines += [f"  FALSE   “{discovery.statement}”" for discovery in result.validated if discovery.origin == "false"]
    recall = "nothing was planted" if result.recall is None else f"recall {result.recall:.0%}"
    if len(result.recall_by) > 1:
        recall += f" ({', '.join(f'by {way} {share:.0%}' for way, share in result.recall_by.items())})"
    lines.append(f"{recall}; {len(result.validated)} validated findings, realised false discovery rate {result.false_discovery_rate:.0%}")
    return "\n".join(lines)


def _entry(run: Run, interventions: Sequence[dict[str, Any]], truth: Path) -> dict[str, Any]:
    """The truth of the run's intervention: the one with its adapter or its model, the null where it runs on the base alone."""
    subject: dict[str, Any] = run.run.get("config", {}).get("intervention") or {}
    adapter: str | None = subject.get("adapter")
    if adapter is not None:
        same, wanted = _made_at(interventions, "adapter", adapter, truth), f"the adapter `{Path(adapter).name}`"
    elif subject.get("model") is not None and subject.get("model") == run.run["config"]["base"].get("model"):
        same = [entry for entry in interventions if entry["adapter"] is None and entry.get("model") is None]
        wanted = "a null (`adapter: null`)"
    else:
        if subject.get("model") is None:
            raise ConfigError(f"{truth}: knows models and adapters only, but the run has no `intervention.model`; give another run")
        same, wanted = _made_at(interventions, "model", subject["model"], truth), f"the model `{Path(subject['model']).name}`"
    if not same:
        names = ", ".join(str(entry["name"]) for entry in interventions)
        raise ConfigError(
            f"{truth}: `interventions` has no entry for {wanted} that the run audited (it has {names}); give the run's truth file"
        )
    return same[0]


def _made_at(interventions: Sequence[dict[str, Any]], key: str, place: str, truth: Path) -> list[dict[str, Any]]:
    """Entries whose adapter or model is the one at `place`."""
    made = [entry for entry in interventions if entry.get(key) is not None]
    same = [entry for entry in made if (truth.parent / entry[key]).resolve() == Path(place).resolve()]
    # A run from another machine or checkout: the folder's name must do.
    return same or [entry for entry in made if Path(entry[key]).name == Path(place).name]


def _recovery(
    behaviour: dict[str, Any],
    shown: BoolArray | None,
    validated: Sequence[dict[str, Any]],
    checks: dict[str, BoolArray],
    texts: pd.DataFrame,
    ways: dict[str, Matches],
) -> Recovery:
    """The finding that is this behaviour: the one whose check agrees with it best; without a check, whose sentence says it."""
    true = float(behaviour["difference"])
    matches = {way: found[behaviour["id"]] for way, found in ways.items() if behaviour["id"] in found}
    by: dict[str, str | None] = {way: matches[way][0] if way in matches else None for way in ways}
    missed = Recovery(behaviour["id"], behaviour["kind"], behaviour.get("description", ""), False, true, by=by)
    if shown is not None:
        agreements = [_agreement(behaviour, shown, finding, checks, texts) for finding in validated]
        missed = replace(missed, by={"check": None, **by})
        if not agreements or max(agreements) < _SAME:
            return missed
        # Of equals the behaviour's very check, then the audit's own order.
        order = [(agreement, _same_check(behaviour, finding)) for agreement, finding in zip(agreements, validated, strict=True)]
        finding, agreement = validated[order.index(max(order))], max(agreements)
        missed = replace(missed, by={"check": finding["id"], **by})
    else:
        said = matches.get("judge") or matches.get("embedding")
        if said is None:
            return missed
        finding, agreement = next(one for one in validated if one["id"] == said[0]), said[1]
    low, high = sorted(finding["interval"])
    opposite = (finding["difference"] > 0) != (true > 0)
    return replace(
        missed,
        recovered=True,
        finding=finding["id"],
        statement=finding["statement"],
        difference=finding["difference"],
        interval=(low, high),
        covers=bool(low <= (-true if opposite else true) <= high),
        agreement=round(agreement, 4),
    )


def _discovery(
    finding: dict[str, Any],
    behaviours: Sequence[dict[str, Any]],
    planted: dict[str, BoolArray],
    checks: dict[str, BoolArray],
    texts: pd.DataFrame,
    meant: dict[str, str],
) -> Discovery:
    """`meant`: finding → the behaviour without a check that it was taken for."""

    def as_(origin: str) -> Discovery:
        return Discovery(finding["id"], finding["statement"], origin)

    for behaviour in behaviours:
        shown = planted.get(behaviour["id"])
        if shown is not None and _agreement(behaviour, shown, finding, checks, texts) >= _SAME:
            return as_(f"planted: {behaviour['id']}")
    if finding["id"] in meant:
        return as_(f"planted: {meant[finding['id']]}")
    if not planted or finding["id"] not in checks:
        return as_("false")
    held = checks[finding["id"]]
    shows_any = np.logical_or.reduce(list(planted.values()))
    of_intervention = (texts["model"] == "intervention").to_numpy()
    if abs(phi(held[of_intervention], shows_any[of_intervention])) >= _SAME or _gone_without(held, shows_any, texts):
        return as_("explained by a plant")
    return as_("false")


def _agreement(
    behaviour: dict[str, Any], shown: BoolArray, finding: dict[str, Any], checks: dict[str, BoolArray], texts: pd.DataFrame
) -> float:
    """phi of a finding's check and a behaviour's on the intervention's texts; 1 where the checks are the same.

    Negative where they point opposite ways: “starts with a space” is less frequent where “has 2 line breaks” is more, and says the same.
    """
    direction = 1.0 if (finding["difference"] > 0) == (behaviour["difference"] > 0) else -1.0
    if _same_check(behaviour, finding):
        return direction
    if finding["id"] not in checks:
        return 0.0
    of_intervention = (texts["model"] == "intervention").to_numpy()
    return direction * phi(checks[finding["id"]][of_intervention], shown[of_intervention])


def _same_check(behaviour: dict[str, Any], finding: dict[str, Any]) -> bool:
    check = parse_predicate(behaviour["check"])
    return finding["statement"] == check.statement() or bool(finding.get("check") and parse_predicate(finding["check"]) == check)


def _gone_without(held: BoolArray, shows_any: BoolArray, texts: pd.DataFrame) -> bool:
    """Whether the finding's difference is not clearly nonzero among the pairs in which neither text shows a plant."""
    frame = pd.DataFrame(
        {"prompt": texts["prompt_id"], "sample": texts["sample"], "model": texts["model"], "held": held.astype(float), "plant": shows_any}
    )
    wide = frame.pivot_table(index=["prompt", "sample"], columns="model", values=["held", "plant"], aggfunc="max").dropna()
    clean = wide[(wide[("plant", "base")] == 0) & (wide[("plant", "intervention")] == 0)]
    differences = (clean[("held", "intervention")] - clean[("held", "base")]).groupby(level="prompt").mean().to_numpy()
    if len(differences) < 2:
        return True
    return abs(float(differences.mean())) <= 1.96 * float(differences.std(ddof=1)) / float(np.sqrt(len(differences)))


def phi(a: BoolArray, b: BoolArray) -> float:
    """Correlation of two yes/no columns (Pearson's, in [−1, 1]); 0 where one of them never changes.

    >>> phi(np.array([True, True, False, False]), np.array([True, True, False, False]))
    1.0
    >>> phi(np.array([True, False]), np.array([True, True]))
    0.0
    """
    if len(a) == 0 or a.all() or b.all() or not a.any() or not b.any():
        return 0.0
    return round(float(np.corrcoef(a.astype(float), b.astype(float))[0, 1]), 12)


def _held(checks: dict[str, dict[str, Any]], texts: pd.DataFrame) -> dict[str, BoolArray]:
    """For each check by name: on which texts it holds (a check that abstains does not)."""
    scores = matrix([parse_predicate(check) for check in checks.values()], texts["text"].tolist())
    return {name: scores[row] >= 0.5 for row, name in enumerate(checks)}
