"""A comparison in sentences and cells; the page and the terminal both read from here, so that they cannot disagree."""

from __future__ import annotations

from auto_interventions.comparing.clusters import ClusterComparison
from auto_interventions.comparing.comparison import Comparison
from auto_interventions.comparing.costs import Cost
from auto_interventions.comparing.findings import FindingComparison, Match
from auto_interventions.report import wording
from auto_interventions.report.sections import duration

QUALITIES = {
    "explained": "explained variance",
    "inertia": "inertia",
    "silhouette": "silhouette",
    "strata": "strata told apart",
    "agreement": "agreement",
}
_ABOUT_THE_SAME = 1.05


def headline(comparison: Comparison) -> str:
    """What was saved and what was kept, in one sentence that stands alone."""
    texts = comparison.costs.of("texts")
    return f"The active audit drew {fewer(texts, 'texts')} and {_kept(comparison.findings)}."


def detail(comparison: Comparison) -> str:
    """What else was saved and kept."""
    seconds = comparison.costs.seconds
    findings = comparison.findings
    parts: list[str] = []
    if findings.kept < len(findings.exhaustive) and findings.of_interest.exhaustive:
        parts.append(f"Of all {len(findings.exhaustive):,} findings, however small, it kept {findings.kept:,}.")
    parts += [f"It took {duration(seconds.active)} instead of {duration(seconds.exhaustive)}{_times(seconds)}."]
    if comparison.clusters is not None:
        parts.append(_clusters(comparison.clusters))
    return " ".join(parts)


def fewer(cost: Cost, noun: str) -> str:
    """An amount of the active run beside the exhaustive one's.

    >>> fewer(Cost("texts", 3600, 198_000), "texts")
    '55 times fewer texts (3,600 instead of 198,000)'
    >>> fewer(Cost("texts", 100, 100), "texts")
    'about as many texts (100 and 100)'
    """
    ratio = cost.ratio
    if ratio is None or 1 / _ABOUT_THE_SAME <= ratio <= _ABOUT_THE_SAME:
        return f"about as many {noun} ({cost.active:,.0f} and {cost.exhaustive:,.0f})"
    how = f"{times(ratio)} times fewer" if ratio > 1 else f"{times(1 / ratio)} times more"
    return f"{how} {noun} ({cost.active:,.0f} instead of {cost.exhaustive:,.0f})"


def times(ratio: float) -> str:
    """A ratio in two digits.

    >>> times(55.3), times(9.96), times(1.24), times(1234.0)
    ('55', '10', '1.2', '1,200')
    """
    return f"{ratio:.1f}".removesuffix(".0") if ratio < 9.95 else f"{float(f'{ratio:.2g}'):,.0f}"


def ratio_cell(cost: Cost) -> str:
    """A ratio for a cell of a table: "55×", "–" where there is none."""
    return "–" if cost.ratio is None else f"{times(cost.ratio)}×" if cost.ratio >= 0.95 else f"{cost.ratio:.2g}×"


def amount_cell(name: str, amount: float) -> str:
    """An amount for a cell of a table."""
    if name == "dollars":
        return f"${amount:,.2f}"
    return f"{amount:,.1f}" if name == "seconds" else f"{amount:,.0f}"


def share_cell(share: float | None) -> str:
    """A fraction kept: "97%", above 100% where the active run is the better."""
    return "–" if share is None else f"{100 * share:.3g}%" if share >= 0.0005 or share < 0 else "0%"


def match_cell(match: Match) -> str:
    """What the other run has of a finding."""
    if match.other is None:
        return "tested, not confirmed" if match.tested else "not proposed"
    if match.how == "same check":
        return "the same"
    often, what = wording.claim(match.other)
    phi = match.phi or 0.0
    how = "merged with it" if match.how == "merged" else "the same texts" if phi > 0 else "the other texts"
    return f"{often} {what} ({how}: φ = {phi:.2f})".replace("= -", f"= {wording.MINUS}")


def notes(comparison: Comparison) -> list[str]:
    """What limits the comparison."""
    said: list[str] = []
    if any(comparison.costs.reused):
        active, exhaustive = comparison.costs.reused
        said.append(
            f"The active run took {active:,} texts from its store and the exhaustive one {exhaustive:,}, instead of drawing them: "
            "the seconds of generating say too little. Compare into a new folder for honest ones."
        )
    stopped = [name for name, status in zip(("active", "exhaustive"), comparison.statuses, strict=True) if status != "done"]
    if stopped:
        said.append(f"The {' and the '.join(stopped)} run was stopped by a budget: its answer is partial.")
    if comparison.findings.share is None:
        said.append("The exhaustive run confirmed nothing, so there was nothing to keep.")
    if comparison.clusters is None:
        said.append("No clusters are compared: a run has none, or no texts were held out.")
    return said


def _kept(findings: FindingComparison) -> str:
    total = len(findings.exhaustive)
    if not total:
        return "found nothing, as the exhaustive one did" if not findings.more else "found what the exhaustive one did not"
    if findings.kept == total:
        return "kept the one finding" if total == 1 else f"kept all {total:,} findings"
    large = findings.of_interest
    if not large.exhaustive:
        return f"kept {findings.kept:,} of {total:,} findings, none of which reaches {of_interest(findings)}"
    count = len(large.exhaustive)
    how = f"all {count:,}" if large.kept == count > 1 else f"{large.kept:,} of {count:,}"
    return f"kept {how} findings of {of_interest(findings)} or more"


def of_interest(findings: FindingComparison) -> str:
    """The smallest effect of interest: "5 points"."""
    return f"{wording.points(findings.smallest, sign=False).removesuffix('.0')} points"


def _times(cost: Cost) -> str:
    ratio = cost.ratio
    return f" ({times(ratio)} times less)" if ratio is not None and ratio > _ABOUT_THE_SAME else ""


def _clusters(clusters: ClusterComparison) -> str:
    kept, ceiling = clusters.kept(clusters.active), clusters.kept(clusters.again)
    return (
        f"On {clusters.texts:,} texts that neither clustering saw, its clusters keep {share_cell(kept['inertia'])} of the exhaustive ones’ "
        f"inertia and {share_cell(kept['explained'])} of the variance that they explain; clustering the exhaustive texts again with "
        f"another seed keeps {share_cell(ceiling['inertia'])} and {share_cell(ceiling['explained'])}."
    )
