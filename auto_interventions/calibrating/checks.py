"""What can be wrong with an audit's instruments, each as one check: what was seen, and whether it is as it should be.

False alarms.  An audit of two equal models says anything with probability α at most. Of n independent nulls, x or more speak with at most
the probability P(X ≥ x), X ~ Binomial(n, α): an exact test of that promise on this bank, this encoder and this judge.

Order.  Base and intervention change places. A sentence validated both times as more frequent on the *same side* cannot be true of the
models both times: it is about the places (a judge that leans, an answer cut on one side only).

Encoder.  Two texts of one prompt should lie nearer to each other than texts of different prompts. AUC = P(cos(same prompt) >
cos(different)), over the base's own texts, the interval over prompts by a bootstrap (Efron 1979); 0.5: it sees nothing of them.

Judge.  Sensitivity and specificity on sentences whose truth the machine knows (docs/judges.md); J = sensitivity + specificity − 1 (Youden
1950) is 0 for a judge that guesses. One that leans to a place costs evidence and favours nobody: a coin places the texts.

Power.  The smallest difference that a null run would have seen in 80% of runs (inference/detectable.py), against `smallest_effect`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.stats import binom

from auto_interventions.comparing.findings import match_findings
from auto_interventions.fingerprint import canonical_json, generator
from auto_interventions.records import FloatArray, FloatMatrix
from auto_interventions.report.plain import one_line
from auto_interventions.report.wording import count, percent

Verdict = Literal["fit", "doubtful", "unfit"]
# Below this chance the promise of α is not believed any more.
SURPRISE = 0.05
# Shares of texts that make a bank doubtful.
MOST_EMPTY, MOST_CUT, MOST_ALIKE = 0.05, 0.5, 0.2
FEWEST_IN_POOL = 50
# An encoder that ranks a text of the same prompt first less often than this sees little of what texts are about.
WEAK_ENCODER = 0.6
_RESAMPLES = 999


@dataclass(frozen=True, slots=True)
class Check:
    """One check: `what` was looked at, its `verdict`, the `sentence` for people, the `figures` behind it."""

    what: str
    verdict: Verdict
    sentence: str
    figures: dict[str, Any] = field(default_factory=dict[str, Any])

    def as_dict(self) -> dict[str, object]:
        """For calibration.json."""
        return asdict(self)


def false_alarms(nulls: Sequence[Mapping[str, Any]], alpha: float) -> Check:
    """From the findings.json of the nulls: whether no more of them spoke than α allows.

    >>> quiet = {"overall": {"verdict": "no difference found"}, "findings": []}
    >>> loud = {"overall": {"verdict": "different"}, "findings": []}
    >>> false_alarms([quiet] * 3, 0.05).verdict, false_alarms([loud, quiet, quiet], 0.05).verdict, false_alarms([loud] * 2, 0.05).verdict
    ('fit', 'doubtful', 'unfit')
    """
    spoke = [null for null in nulls if _says(null)]
    chance = float(binom.sf(len(spoke) - 1, len(nulls), alpha))
    figures = {"nulls": len(nulls), "spoke": len(spoke), "alpha": alpha, "p": chance}
    if not spoke:
        return Check(
            "the base against itself", "fit", f"None of {count(len(nulls), 'audit')} of the base against itself said anything.", figures
        )
    said = "; ".join(one_line(sentence, 80) for null in spoke for sentence in _validated(null)[:3]) or "that the two differ overall"
    seen = f"{len(spoke)} of {len(nulls)} audits of the base against itself said something ({said})"
    if chance < SURPRISE:
        return Check(
            "the base against itself",
            "unfit",
            f"{seen}: at an error rate of {percent(alpha)} the chance of that is {percent(chance)}. Texts of a side depend on each other, "
            f"or are treated unlike the other side's; do not believe an audit of this bank before that is found.",
            figures,
        )
    return Check(
        "the base against itself", "doubtful", f"{seen}; one in {1 / alpha:.0f} is allowed to. Run more of them (--nulls 10).", figures
    )


def order(forward: Mapping[str, Any], swapped: Mapping[str, Any], texts: Sequence[str]) -> Check:
    """From the findings.json of the audit and of its swap, and `texts` on which checks are compared: whether places matter."""
    mirror = {
        **swapped,
        "findings": [
            {
                **finding,
                "more_in": _other(finding["more_in"]),
                "difference": -finding["difference"],
                "interval": _mirrored(finding["interval"]),
            }
            for finding in swapped.get("findings") or ()
        ],
    }
    kept = match_findings(mirror, forward, texts)
    before = {_claim(finding) for finding in forward.get("findings") or () if finding["status"] == "validated"}
    same_side = [str(one["statement"]) for one in swapped.get("findings") or () if one["status"] == "validated" and _claim(one) in before]
    apart = [match for match in kept.exhaustive if match.other is not None and _apart(match.finding["interval"], match.other["interval"])]
    told = [one_line(statement, 80) for statement in same_side]
    figures = {
        "found": len(kept.exhaustive),
        "mirrored": kept.kept,
        "same_side_both_times": same_side,
        "sizes_apart": [str(match.finding["statement"]) for match in apart],
    }
    if same_side:
        return Check(
            "the roles swapped",
            "unfit",
            f"Said of the same side in both orders: {'; '.join(told[:3])}. It is about the place, not the model.",
            figures,
        )
    if not kept.exhaustive:
        speaks = "; the swapped audit found something, with other random numbers" if kept.more else ""
        return Check("the roles swapped", "doubtful" if speaks else "fit", f"The audit found nothing to compare{speaks}.", figures)
    sentence = f"With the roles swapped, {kept.kept:,} of {len(kept.exhaustive):,} findings came back the other way, and none the same way"
    if apart:
        return Check(
            "the roles swapped",
            "doubtful",
            f"{sentence}; {len(apart)} with another size ({one_line(str(apart[0].finding['statement']), 80)}).",
            figures,
        )
    return Check("the roles swapped", "fit" if 2 * kept.kept >= len(kept.exhaustive) else "doubtful", f"{sentence}.", figures)


def encoder(one: FloatMatrix, other: FloatMatrix, cut: int, texts: int, seed: int) -> Check:
    """Whether the encoder sees what texts are about.

    Args:
        one, other: (n, d) unit vectors of two texts of the base for each of n prompts.
        cut: how many of `texts` are longer than the encoder reads.
        seed: of the prompts that are compared with, and of the bootstrap.
    """
    if len(one) < 2:
        return Check("the encoder", "doubtful", "There are too few texts to try the encoder on.", {"prompts": len(one)})
    wins = _same_nearer(one, other, seed)
    low, high = _bootstrap(wins, seed)
    auc, share = float(wins.mean()), cut / max(1, texts)
    figures = {"prompts": len(one), "auc": auc, "interval": [low, high], "texts_cut": cut, "texts": texts}
    between = f"95% interval {percent(low)} to {percent(high)}"
    seen = f"It puts a text nearer to another of the same prompt than to one of another prompt in {percent(auc)} of cases ({between})"
    if low <= 0.5:
        return Check(
            "the encoder", "unfit", f"{seen}: it sees nothing of what these texts are about; take another (`embedding.model`).", figures
        )
    if auc < WEAK_ENCODER or share > MOST_CUT:
        more = f", and reads only the beginning of {percent(share)} of them" if share > MOST_CUT else ""
        return Check("the encoder", "doubtful", f"{seen}{more}. Clusters will be coarse.", figures)
    return Check("the encoder", "fit", f"{seen}.", figures)


def judges(run: Mapping[str, Any]) -> Check:
    """From run.json: how the judges did on sentences whose truth the machine knows."""
    told: Mapping[str, Any] = run.get("judging") or {}
    if not told.get("judges"):
        return Check("the judge", "fit", "Every sentence is checked by the machine itself, exactly.", {})
    known = [one for one in told.get("known_items") or () if one.get("pairs")]
    if not known:
        return Check(
            "the judge", "doubtful", "No judge could be tried on sentences whose truth the machine knows (`judge.known_pairs`).", {}
        )
    worst = min(known, key=lambda one: _youden(one, 0))
    rates = "; ".join(
        f"{one_line(str(one['judge']), 60)} finds {percent(one['sensitivity']['value'])} of what is there and rejects "
        f"{percent(one['specificity']['value'])} of what is not"
        for one in known
    )
    figures = {"known_items": [dict(one) for one in known]}
    if _youden(worst, 0) <= 0:
        verdict: Verdict = "unfit" if _youden(worst, None) <= 0.2 else "doubtful"
        return Check(
            "the judge", verdict, f"{rates}: hardly told from guessing. Take a better judge, or more `judge.known_pairs`.", figures
        )
    return Check("the judge", "fit", f"{rates}.", figures)


def bank(run: Mapping[str, Any], texts: pd.DataFrame) -> Check:
    """From run.json and texts.parquet of a null: whether the bank gives texts that can be told apart at all."""
    pools = {pool: int(run["prompts"][pool]) for pool in ("explore", "confirm")}
    empty = float((texts["text"].str.strip() == "").mean())
    cut = float((~texts["finished"]).mean())
    alike = 1 - texts["text"].nunique() / len(texts)
    strata = int(run["prompts"]["strata"])
    figures = {**pools, "strata": strata, "texts": len(texts), "empty": empty, "cut": cut, "alike": alike}
    faults: list[str] = []
    if min(pools.values()) < FEWEST_IN_POOL:
        faults.append(f"{min(pools.values())} prompts in a pool are few: the prompt is the unit of inference")
    if empty > MOST_EMPTY:
        faults.append(f"{percent(empty)} of the texts are empty")
    if cut > MOST_CUT:
        faults.append(f"{percent(cut)} of the texts are cut by `sampling.max_new_tokens`, and whatever comes at the end is not seen")
    if alike > MOST_ALIKE:
        faults.append(f"{percent(alike)} of the texts repeat another word for word")
    seen = f"{pools['explore']:,} prompts explore and {pools['confirm']:,} confirm, in {count(strata, 'stratum', 'strata')}"
    if faults:
        return Check("the bank", "doubtful", f"{seen}; but {'; '.join(faults)}.", figures)
    return Check("the bank", "fit", f"{seen}; {percent(cut)} of the texts are cut by the token limit.", figures)


def power(null: Mapping[str, Any], smallest_effect: float) -> Check:
    """From the findings.json of a null: what it could have seen."""
    seen = null["overall"].get("smallest_detectable")
    figures = {"smallest_detectable": seen, "smallest_effect": smallest_effect}
    if seen is None:
        return Check("the budget", "doubtful", "A null run tested nothing, so what it could have seen is not known.", figures)
    sentence = f"A null run could have seen differences of {100 * seen:.1f} points in four of five cases"
    if seen > smallest_effect:
        wants = f"`inference.smallest_effect` asks for {100 * smallest_effect:g}; raise `sampling.max_texts`, or give more prompts"
        return Check("the budget", "doubtful", f"{sentence}; {wants}.", figures)
    return Check("the budget", "fit", f"{sentence}.", figures)


def _says(findings: Mapping[str, Any]) -> bool:
    return findings["overall"]["verdict"] == "different" or bool(_validated(findings))


def _validated(findings: Mapping[str, Any]) -> list[str]:
    return [str(finding["statement"]) for finding in findings.get("findings") or () if finding["status"] == "validated"]


def _claim(finding: Mapping[str, Any]) -> tuple[str, str]:
    """What a finding says of which side."""
    check = finding.get("check")
    return (canonical_json(check) if check else str(finding["statement"])), str(finding["more_in"])


def _other(side: str) -> str:
    return "intervention" if side == "base" else "base"


def _mirrored(interval: Sequence[float]) -> list[float]:
    return [-interval[1], -interval[0]]


def _apart(one: Sequence[float], other: Sequence[float]) -> bool:
    return one[1] < other[0] or other[1] < one[0]


def _youden(known: Mapping[str, Any], bound: int | None) -> float:
    """Sensitivity + specificity − 1, of the lower (0) or upper (1) ends of their intervals, or of the values."""
    rates = (known["sensitivity"], known["specificity"])
    return sum(rate["value"] if bound is None else rate["interval"][bound] for rate in rates) - 1


def _same_nearer(one: FloatMatrix, other: FloatMatrix, seed: int) -> FloatArray:
    """(n,) for each prompt: is its second text nearer to its first than another prompt's second text is? Ties count half."""
    shift = generator("calibrate", "encoder", seed).integers(1, len(one), size=len(one))
    strangers = other[(np.arange(len(one)) + shift) % len(one)]
    same, different = (one * other).sum(axis=1), (one * strangers).sum(axis=1)
    return np.where(same == different, 0.5, same > different).astype(np.float64)


def _bootstrap(values: FloatArray, seed: int) -> tuple[float, float]:
    """The middle 95% of the means of resampled prompts."""
    chosen = generator("calibrate", "bootstrap", seed).integers(0, len(values), size=(_RESAMPLES, len(values)))
    low, high = np.quantile(values[chosen].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)
