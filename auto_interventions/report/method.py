"""How an audit went, step by step, with its own numbers: the page's chapter on method. From run.json and findings.json alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from auto_interventions.report import wording
from auto_interventions.report.plain import one_line
from auto_interventions.runs import Run

_STRATEGIES = {
    "active": "where evidence grew fastest, and where texts lay between two clusters",
    "divergence": "where evidence grew fastest",
    "boundary": "where texts lay between two clusters",
    "uniform": "evenly over all prompts",
    "exhaustive": "evenly over all prompts, all at once",
}
_STRATA = {"auto": "found by clustering the prompts before any model answered", "given": "given with the prompts"}
_DETECTORS = {"own": "your own", "labeller": "a language model"}


def method(run: Run, alpha: float) -> list[tuple[str, str]]:
    """(step, what was done in it) in the order of the work; a step of which the run does not tell is left out."""
    config: Mapping[str, Any] = run.run.get("config") or {}
    steps = (
        ("Prompts", _prompts(run, config)),
        ("Texts", _texts(config)),
        ("Looking", _looking(run, config)),
        ("Meaning", _meaning(run, config)),
        ("Sentences", _sentences(run)),
        ("Testing", _testing(run)),
        ("Deciding", _deciding(run, alpha)),
        ("Sizes", _sizes(run, alpha)),
    )
    return [(name, told) for name, told in steps if told]


def _prompts(run: Run, config: Mapping[str, Any]) -> str:
    counts: Mapping[str, int] = run.run.get("prompts") or {}
    if not counts.get("explore"):
        return ""
    explore, confirm = int(counts["explore"]), int(counts.get("confirm", 0))
    kinds = _STRATA.get(str((config.get("prompts") or {}).get("strata")), "")
    mined = f" {int(counts['mined']):,} more were made from explored texts." if counts.get("mined") else ""
    many = wording.count(int(counts.get("strata", 0)), "kind")
    return (
        f"{explore + confirm:,} prompts of {many}{f', {kinds}' if kinds else ''}. A seeded draw "
        f"split them: {explore:,} to look at, {confirm:,} kept apart to test on.{mined}"
    )


def _texts(config: Mapping[str, Any]) -> str:
    sampling: Mapping[str, Any] = config.get("sampling") or {}
    if not sampling or any((config.get(role) or {}).get("texts") for role in ("base", "intervention")):
        return "Recorded texts stood in for a model: they were drawn from the file, without replacement." if sampling else ""
    each = wording.count(int(sampling.get("samples_per_prompt", 1)), "text")
    at_least = "" if sampling.get("strategy") == "exhaustive" else ", more where they could decide something"
    nucleus = f", top-p {sampling['top_p']:g}" if sampling.get("top_p", 1) != 1 else ""
    return (
        f"Both models answered the same prompts, {each} a prompt{at_least}, at temperature {sampling.get('temperature', 1):g}{nucleus}, "
        f"with at most {int(sampling.get('max_new_tokens', 0)):,} tokens a text."
    )


def _looking(run: Run, config: Mapping[str, Any]) -> str:
    rounds: list[Mapping[str, Any]] = run.run.get("rounds") or []
    if not rounds:
        return ""
    where = _STRATEGIES.get(str((config.get("sampling") or {}).get("strategy")), "")
    aimed = f"; after the first, each asked {where}" if where and len(rounds) > 1 else ""
    told = rounds[-1].get("pair_auc")
    apart = f" In the end it told the two apart in {wording.percent(float(told))} of pairs." if isinstance(told, int | float) else ""
    return (
        f"{wording.count(len(rounds), 'round').capitalize()}, {int(rounds[-1]['texts']):,} texts{aimed}. A program that had learned "
        f"from earlier rounds only bet on which of two new answers was the intervention’s; what it won is the evidence.{apart}"
    )


def _meaning(run: Run, config: Mapping[str, Any]) -> str:
    clustering: Mapping[str, Any] = run.run.get("clustering") or {}
    if not clustering.get("clusters"):
        return ""
    model = one_line((config.get("embedding") or {}).get("model") or "", 80)
    stability = clustering.get("stability")
    firm = (
        f"; from round to round they agreed by {float(stability):.2f} (1: the same clusters)" if isinstance(stability, int | float) else ""
    )
    return f"Texts became vectors{f' by {model}' if model else ''} and {wording.count(int(clustering['clusters']), 'cluster')}{firm}."


def _sentences(run: Run) -> str:
    findings: list[Mapping[str, Any]] = run.findings.get("findings") or []
    if not findings:
        return ""
    counts = Counter(str(finding.get("source") or "") for finding in findings)
    listed = [f"{_DETECTORS.get(name, one_line(name, 40))} {count:,}" for name, count in counts.most_common() if name]
    return f"{len(findings):,} sentences were proposed from the explored texts alone{f' ({wording.join(listed)})' if listed else ''}."


def _testing(run: Run) -> str:
    findings: list[Mapping[str, Any]] = run.findings.get("findings") or []
    rounds: list[Mapping[str, Any]] = run.run.get("confirm_rounds") or []
    most = max((int(finding.get("pairs", 0)) for finding in findings), default=0)
    if not most:
        return ""
    focused = int(rounds[-1].get("focused", 0)) if rounds else 0
    aimed = f", {focused:,} of them aimed at the kinds where a sentence was undecided" if focused else ""
    judges = list(dict.fromkeys(str(judge) for finding in findings for judge in finding.get("judges") or ()))
    named = wording.join(["a check that a machine runs" if judge == "predicate" else one_line(judge, 60) for judge in judges])
    return f"Each was tested on up to {most:,} fresh pairs at prompts that were kept apart{aimed}{f'; judged by {named}' if named else ''}."


def _deciding(run: Run, alpha: float) -> str:
    findings: list[Mapping[str, Any]] = run.findings.get("findings") or []
    if not findings:
        return ""
    held = len(wording.validated(run.findings))
    rule = (
        f"Benjamini–Hochberg at {100 * alpha:.4g}% over the fixed-n tests of"
        if any(wording.p_value_of(finding) is not None for finding in findings)
        else f"The e-BH procedure at {100 * alpha:.4g}% over the e-values of"
    )
    return f"{rule} all {len(findings):,} sentences, the dropped ones too, let {held:,} stand as findings."


def _sizes(run: Run, alpha: float) -> str:
    if not wording.validated(run.findings):
        return ""
    return (
        f"Rates are averages over the prompts of the bank, reweighted where prompts were aimed at; {wording.level(alpha)} intervals stay "
        "valid whenever the audit stops. Those of single kinds of prompts are drawn towards the whole where prompts are few."
    )
