"""A matrix in sentences and cells; the page and the terminal both read from here, so that they cannot disagree."""

from __future__ import annotations

from statistics import fmean, stdev

from auto_interventions.inference.variance_shares import RESIDUAL, Share
from auto_interventions.matrix.cells import Cell
from auto_interventions.matrix.judges import JudgeAgreement
from auto_interventions.matrix.rows import Spread, Value
from auto_interventions.matrix.sources import Sources
from auto_interventions.matrix.table import Matrix
from auto_interventions.report.wording import count, join, percent, points

BLANK = "–"
_SOURCE = {
    "run": "which run it is",
    "stratum": "which kind of prompts",
    "sentence": "which sentence",
    RESIDUAL: "the rest, chance among it",
}
_WORD = {"run": "run", "stratum": "kind of prompts", "sentence": "sentence"}
_NONE = 0.005  # a share that is not named
_UNSEEN = 0.0005  # a bound that is printed as 0%, or as less than 0.1%


def headline(matrix: Matrix) -> str:
    """What was found where, in one sentence that stands alone."""
    runs = count(len(matrix.columns), "run").capitalize()
    interventions, banks = ({getattr(cell, what) for cell in matrix.cells} for what in ("intervention", "bank"))
    of = f"of {count(len(interventions), 'intervention')} on {count(len(banks), 'bank')}"
    if not matrix.rows:
        return f"{runs} {of}: none of them found anything."
    everywhere = matrix.everywhere
    said = (
        "none of them"
        if not everywhere
        else "all of them"
        if everywhere == len(matrix.leaders)
        else count(everywhere, "of them", "of them")
    )
    return f"{runs} {of}: {count(len(matrix.leaders), 'finding')}, {said} in every run."


def detail(matrix: Matrix) -> str:
    """What was counted, and where the sizes' variation comes from."""
    alike = len(matrix.rows) - len(matrix.leaders)
    parts = [
        f"Of {matrix.tested:,} sentences that the runs tested, {count(len(matrix.rows), 'was', 'were')} validated in one of them or more"
        + (f"; {count(alike, 'says', 'say')} the same as another and {'stands' if alike == 1 else 'stand'} under it." if alike else ".")
    ]
    told = matrix.sources[0]
    if told.shares is not None and matrix.rows:
        parts.append(variation(told))
    return " ".join(parts)


def variation(told: Sources) -> str:
    """The shares in a sentence, the largest first; what has next to none is not named."""
    assert told.shares is not None
    if told.shares.variance <= 0:
        return "Their sizes do not vary at all."
    known = sorted(((one.share or 0.0, name) for name, one in told.shares.sources.items() if name != RESIDUAL), reverse=True)
    parts = [f"{percent(share)} with the {_WORD[name]}" for share, name in known if share >= _NONE]
    between = _run_part(told.shares.sources["run"].interval)
    return (
        f"Of the variation in their sizes, {join([parts[0].replace(' with', ' goes with', 1), *parts[1:]])}; {between}."
        if parts
        else f"Their sizes vary by chance; {between}."
    )


def _run_part(interval: tuple[float, float]) -> str:
    """What the interval of the run's share says.

    >>> _run_part((0.02, 0.63)), _run_part((0.0, 0.12))
    ('the run’s part may be anything from 2% to 63%', 'the run’s part may be anything up to 12%')
    >>> _run_part((0.0, 0.0)), _run_part((0.824, 0.8241))
    ('none of it can be seen to go with the run', 'the run’s part is known closely: 82%')
    """
    low, high = (percent(bound) for bound in interval)
    if interval[1] < _UNSEEN:
        return "none of it can be seen to go with the run"
    if low == high:
        return f"the run’s part is known closely: {low}"
    return f"the run’s part may be anything {f'from {low} to' if interval[0] >= _UNSEEN else 'up to'} {high}"


def source(name: str) -> str:
    """A source of variation, for a table."""
    return _SOURCE.get(name, name)


def share_cells(one: Share) -> tuple[str, str]:
    """A share, and its interval."""
    if one.share is None:
        return BLANK, ""
    low, high = (percent(bound) for bound in one.interval)
    return percent(one.share), "known closely" if low == high else f"{low} to {high}"


def table_of(told: Sources) -> str:
    """What the shares are of."""
    assert told.shares is not None
    strata = f", {count(len(told.strata), 'kind')} of prompts" if told.strata else ""
    chance = "" if told.chance is None else f"; the chance of few prompts makes about {percent(told.chance)} of the variation by itself"
    return f"{count(len(told.runs), 'run')}{strata} and {count(len(told.sentences), 'sentence')}{chance}"


def size_cell(spread: Spread) -> str:
    """Mean ± standard deviation over the seeds of a cell, in points."""
    if spread.mean is None:
        return BLANK
    return points(spread.mean) + (f" ± {points(spread.sd, sign=False)}" if spread.sd is not None else "")


def found_cell(spread: Spread, runs: int) -> str:
    """In how many runs of a cell a sentence was found."""
    if not spread.tested:
        return "not proposed" if spread.runs else ""
    if runs == 1:
        return "found" if spread.held else "not found"
    missing = runs - spread.tested
    return f"found in {spread.held} of {spread.tested}" + (f", {missing} untested" if missing else "")


def found_a_run(cell: Cell, matrix: Matrix) -> str:
    """How many sentences the runs of a cell validated, on average."""
    counts = [matrix.columns[run].validated for run in cell.runs]
    spread = f" ± {stdev(counts):.1f}" if len(counts) > 1 else ""
    return f"{fmean(counts):.1f}".removesuffix(".0") + spread


def value_cell(value: Value) -> str:
    """One run's difference and interval, in points."""
    if value.difference is None or value.interval is None:
        return BLANK
    return f"{points(value.difference)} [{points(value.interval[0])}, {points(value.interval[1])}]"


def judges_of(one: JudgeAgreement, matrix: Matrix) -> str:
    """Which runs two judges judged in."""
    names = [f"{matrix.columns[run].name} ({matrix.columns[run].seed})" for run in one.runs]
    return f"both in {names[0]}" if len(names) == 1 else f"the same texts in {join(names)}"
