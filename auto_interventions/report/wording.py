"""What the numbers of an audit mean, in sentences: the page and the terminal both read from here, so that they cannot disagree.

Every function is pure and takes what findings.json holds. Statements come from models' texts: they leave here as they are, and whoever
shows them escapes them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from auto_interventions.report.sentences import intents, said_of_model

MINUS = "−"
POWER, DETECTABLE_BASE_RATE = 0.8, 0.05  # what `smallest_detectable` is for (inference.detectable)
_SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
# A difference counts as spread evenly when the largest stratum's is at most this many times the smallest's.
_EVEN = 3.0
_LISTED = 3
_LONG, _SHORT = 120, 64  # characters of a statement in the verdict

FindingDict = Mapping[str, Any]
VerdictKind = Literal["different", "unexplained", "none", "too small", "unfinished"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer of an audit: one sentence that stands alone, and one that adds to it."""

    kind: VerdictKind
    headline: str
    detail: str

    def __str__(self) -> str:
        return f"{self.headline} {self.detail}"


def percent(rate: float) -> str:
    """A rate as a percentage, one decimal below 10% and next to 100%; never a false 0% or 100%.

    >>> percent(0.004), percent(0.41), percent(0.0001), percent(1.0), percent(0.9999)
    ('0.4%', '41%', '<0.1%', '100%', '>99.9%')
    """
    if not math.isfinite(rate):
        return "?"
    value = 100 * rate
    if 0 < value < 0.05:
        return "<0.1%"
    if 99.95 <= value < 100:
        return ">99.9%"
    if value in (0, 100):
        return f"{value:.0f}%"
    return f"{value:.1f}".removesuffix(".0") + "%" if value < 9.95 or value > 99 else f"{value:.0f}%"


def points(difference: float, *, sign: bool = True) -> str:
    """A difference of rates in percentage points, with its sign and without the word.

    >>> points(0.0751), points(-0.38), points(0.0), points(0.02, sign=False)
    ('+7.5', '−38', '0', '2.0')
    """
    if not math.isfinite(difference):
        return "?"
    value = 100 * difference
    text = f"{abs(value):.1f}" if abs(value) < 9.95 else f"{abs(value):.0f}"
    if float(text) == 0:
        return "0"
    return f"{MINUS if value < 0 else '+' if sign else ''}{text}"


def interval(bounds: Sequence[float]) -> str:
    """An interval of differences, in points; one that holds every difference there can be says nothing.

    >>> interval([0.059, 0.093]), interval([-0.02, 0.31]), interval([-1.0, 1.0])
    ('5.9 to 9.3', '−2.0 to 31', 'not known')
    """
    if bounds[0] <= -1 and bounds[1] >= 1:
        return "not known"
    return " to ".join(points(bound, sign=False) for bound in bounds)


def level(alpha: float) -> str:
    """The confidence of intervals at error rate `alpha`, as "95%"."""
    return f"{100 * (1 - alpha):.4g}%"


def odds(log_e: float) -> str:
    """An e-value, given as its natural logarithm, as odds a reader grasps.

    >>> odds(math.log(4.1e6)), odds(math.log(23.4)), odds(math.log(0.3)), odds(math.log(4e15))
    ('4.1 million to 1', '23 to 1', '0.3 to 1', '4.0·10¹⁵ to 1')
    >>> odds(math.log(442_413))
    '440,000 to 1'
    """
    if math.isnan(log_e):
        return "unknown"
    exponent = log_e / math.log(10)
    if exponent < 6 - 1e-9:
        value = math.exp(log_e)
        # Two digits: nobody's belief turns on the third.
        return f"{value:.1f} to 1" if value < 9.95 else f"{float(f'{value:.2g}'):,.0f} to 1"
    if exponent < 9:
        return f"{float(f'{10 ** (exponent - 6):.2g}'):g} million to 1"
    return f"{power_of_ten(log_e)} to 1"


def power_of_ten(log_e: float) -> str:
    """exp(log_e) as mantissa·10ⁿ, without overflow.

    >>> power_of_ten(700 * math.log(10))
    '1.0·10⁷⁰⁰'
    """
    if not math.isfinite(log_e):
        return "∞" if log_e > 0 else "0"
    exponent = math.floor(log_e / math.log(10) + 1e-12)
    mantissa = 10 ** (log_e / math.log(10) - exponent)
    if mantissa >= 9.95:
        exponent, mantissa = exponent + 1, 1.0
    return f"{mantissa:.1f}·10{str(exponent).translate(_SUPERSCRIPTS)}"


def strength(log_e: float) -> str:
    """One word for the evidence, on the scale that the report explains."""
    for least, word in ((1e6, "overwhelming"), (1e3, "very strong"), (20, "strong"), (3, "weak")):
        if log_e >= math.log(least):
            return word
    return "no"


def chance(p_value: float) -> str:
    """A p-value in two digits.

    >>> chance(0.0312), chance(0.62), chance(4.2e-9), chance(1.0)
    ('p = 0.031', 'p = 0.62', 'p = 4.2·10⁻⁹', 'p = 1')
    """
    return f"p = {p_value:.2g}" if p_value >= 1e-4 else f"p = {power_of_ten(math.log(p_value))}"


def p_value_of(finding: FindingDict) -> float | None:
    """The p-value that decided on a finding of an exhaustive audit; None where e-values decided."""
    value = finding.get("p_value")
    return float(value) if isinstance(value, int | float) and value > 0 else None


def proof(finding: FindingDict) -> str:
    """What decided on a finding, for a cell of a table: odds, or the p-value of an exhaustive audit's fixed-n test."""
    if not is_judged(finding):
        return "–"
    value = p_value_of(finding)
    return odds(log_e_of(finding)) if value is None else chance(value)


def evidence(finding: FindingDict) -> str:
    """The evidence of one finding in words, as "overwhelming evidence: 4.1 million to 1 against chance"."""
    value = p_value_of(finding)
    if not is_judged(finding):
        return "not judged"
    if value is not None:
        return f"fixed-n test: {chance(value)}"
    log_e = log_e_of(finding)
    return f"{strength(log_e)} evidence: {odds(log_e)} against chance"


def log_e_of(record: Mapping[str, Any]) -> float:
    """The natural logarithm of a record's e-value: `log_e` where it is, else from the capped `e_value`."""
    log_e = record.get("log_e")
    if isinstance(log_e, int | float):
        return float(log_e)
    value = record.get("e_value")
    if not isinstance(value, int | float):
        return math.nan
    return math.log(value) if value > 0 else -math.inf


def claim(finding: FindingDict) -> tuple[str, str]:
    """What the intervention does, as (how often, what): ("more often", "mentions “lighthouse”").

    Statements describe one text; `sentences` says them of a model.
    """
    # A finding of a language model says so by having no check; what does not say at all is an older run's, which had checks only.
    statement = said_of_model(str(finding.get("statement", "")), finding.get("check", {}) is not None)
    if is_open(finding):
        return "differs in how often it", statement
    return ("more often" if finding.get("more_in") == "intervention" else "less often"), statement


def is_open(finding: FindingDict) -> bool:
    """Whether a validated finding leaves the direction open: the models differ at some prompts, but the mean over all may be 0."""
    lower, upper = finding.get("interval") or (-1.0, 1.0)
    return finding.get("status") == "validated" and lower <= 0 <= upper


def is_judged(finding: FindingDict) -> bool:
    """Whether anything was judged: a budget can end before a sentence's turn comes."""
    return finding.get("pairs", 1) != 0


def size_known(finding: FindingDict) -> bool:
    """Whether the interval says anything of the size: with few prompts it holds every difference."""
    lower, upper = finding["interval"]
    return is_judged(finding) and (lower > -1 or upper < 1)


def rates(finding: FindingDict) -> str:
    """Both models' rates, as "0.4% → 7.9%"; a dash where nothing was judged."""
    return f"{percent(finding['base_rate'])} → {percent(finding['intervention_rate'])}" if is_judged(finding) else "–"


def size(finding: FindingDict) -> str:
    """The difference and its interval for a cell of a table, as "+7.5 [5.9 to 9.3]", "size not known" or "not judged"."""
    if not is_judged(finding):
        return "not judged"
    return f"{points(finding['difference'])} [{interval(finding['interval'])}]" if size_known(finding) else "size not known"


def effect(finding: FindingDict, alpha: float) -> str:
    """The size of one finding, as "0.4% → 7.9% of texts; +7.5 points, 95% interval 5.9 to 9.3"."""
    if not size_known(finding):
        return f"{rates(finding)} of the texts judged; size not known" if is_judged(finding) else "not judged"
    return f"{rates(finding)} of texts; {points(finding['difference'])} points, {level(alpha)} interval {interval(finding['interval'])}"


def sentence(finding: FindingDict, alpha: float) -> str:
    """One finding in one sentence."""
    often, what = claim(finding)
    return f"The intervention {often} {what}: {effect(finding, alpha)}."


def where(finding: FindingDict) -> str:
    """Where one finding happens, as "on all 8 kinds of prompts" or "mainly on prompts of “sea”"; "" where the strata do not say.

    A stratum whose interval holds 0 is not one without the difference: it is said to be elsewhere only where the others' is much larger.
    Of very many strata a finding lists some: then the others are not spoken of as if they had been looked at.
    """
    strata: Sequence[Mapping[str, Any]] = finding.get("strata") or ()
    kinds = strata_judged(finding)
    clear = [stratum for stratum in strata if is_clear(stratum, finding)]
    if len(strata) < 2 or not clear:
        return ""
    clear.sort(key=lambda stratum: -abs(stratum["difference"]))
    largest, smallest = abs(clear[0]["difference"]), abs(clear[-1]["difference"])
    if len(clear) == kinds:
        everywhere = f"on all {len(strata)} kinds of prompts"
        return everywhere if largest <= _EVEN * smallest else f"{everywhere}, most of all “{clear[0]['stratum']}”"
    if len(clear) <= _LISTED:
        others = max(abs(stratum["difference"]) for stratum in strata if not is_clear(stratum, finding))
        how = "mainly" if smallest >= _EVEN * others else "most clearly"
        return f"{how} on prompts of " + join([f"“{stratum['stratum']}”" for stratum in clear])
    least = "at least " if len(strata) < kinds else ""
    return f"clearly on {least}{len(clear)} of {kinds} kinds of prompts, most of all “{clear[0]['stratum']}”"


def strata_judged(finding: FindingDict) -> int:
    """How many kinds of prompts a finding was judged on; `strata` lists at most 60 of them. Older runs do not say how many there were."""
    return max(int(finding.get("strata_judged") or 0), len(finding.get("strata") or ()))


def is_clear(stratum: Mapping[str, Any], finding: FindingDict) -> bool:
    """Whether a stratum's interval excludes 0 on the finding's side."""
    lower, upper = stratum["interval"]
    return lower > 0 if finding["difference"] > 0 else upper < 0


def join(items: Sequence[str]) -> str:
    """Items as English lists them: "a, b and c"."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""


def count(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun, small ones spelt out: "two texts"."""
    word = _NUMBERS[number] if 0 <= number < len(_NUMBERS) else f"{number:,}"
    return f"{word} {one if number == 1 else one + 's' if many is None else many}"


def validated(findings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The findings that held, those that changed most first."""
    held = [finding for finding in findings.get("findings", ()) if finding["status"] == "validated"]
    return sorted(held, key=lambda finding: (is_open(finding), -abs(finding["difference"]), -log_e_of(finding), finding["id"]))


def rejected(findings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The sentences that were tested and did not hold, those with most evidence first."""
    others = [finding for finding in findings.get("findings", ()) if finding["status"] != "validated"]
    return sorted(others, key=lambda finding: (-log_e_of(finding), finding["id"]))


def verdict(findings: Mapping[str, Any]) -> Verdict:
    """The answer of an audit, from the content of findings.json ({} while there is none)."""
    overall: Mapping[str, Any] = findings.get("overall") or {}
    if not overall:
        return Verdict(
            "unfinished",
            "This audit has not concluded yet.",
            "What it has drawn so far is below; starting the same audit again goes on where it stopped.",
        )
    held = validated(findings)
    if held:
        return Verdict("different", _most(held[0]), f"{intents(held)} {_rest(held[1:])}".strip())
    if overall.get("verdict") == "different":
        return _unexplained(findings, overall)
    return _nothing(findings, overall)


def _brief(finding: FindingDict, longest: int) -> tuple[str, str]:
    """The claim without its variants, short enough for a sentence among others."""
    often, what = claim(finding)
    what = what.partition(" (or ")[0]
    return often, what if len(what) <= longest else what[: longest - 1].rstrip() + "…"


def _most(finding: FindingDict) -> str:
    often, what = _brief(finding, _LONG)
    place = where(finding)
    if not size_known(finding):
        return f"What changed: the intervention {often} {what}{', ' + place if place else ''}; by how much is not known."
    return (
        f"What changed most: the intervention {often} {what}, in {percent(finding['intervention_rate'])} of its texts "
        f"instead of {percent(finding['base_rate'])}{', ' + place if place else ''}."
    )


def _rest(others: Sequence[FindingDict]) -> str:
    if not others:
        return "No other difference was confirmed."
    sizes = [f"{points(finding['difference'])} points" if size_known(finding) else "size not known" for finding in others]
    listed = [f"{' '.join(_brief(finding, _SHORT))} ({size})" for finding, size in zip(others[:_LISTED], sizes, strict=False)]
    more = len(others) - len(listed)
    if more:
        listed.append(count(more, "more", "more"))
    head = count(len(others), "further difference was", "further differences were").capitalize()
    return f"{head} confirmed: it {join(listed)}."


def _unexplained(findings: Mapping[str, Any], overall: Mapping[str, Any]) -> Verdict:
    tested = len(findings.get("findings", ()))
    told = f"shown two answers to one prompt, a program told which is the intervention’s in {percent(overall['auc'])} of cases"
    none = (
        f"none of the {tested} sentences tested says how with enough evidence" if tested else "no sentence that could say how was proposed"
    )
    return Verdict("unexplained", "The two models differ, but no sentence that says how was confirmed.", f"{told}; {none}.".capitalize())


def _nothing(findings: Mapping[str, Any], overall: Mapping[str, Any]) -> Verdict:
    tested = len(findings.get("findings", ()))
    needed = f"{1 / findings['alpha']:,.0f} to 1"
    fixed = any(p_value_of(finding) is not None for finding in findings.get("findings", ()))
    looked = f"{count(tested, 'sentence was', 'sentences were').capitalize()} tested on prompts kept for it; " + (
        "none passed the fixed-n tests, counted together."
        if fixed
        else f"the evidence that the models differ in anything is {odds(log_e_of(overall))}, where {needed} is asked for."
    )
    if not tested:
        return Verdict("none", "No difference found, and no sentence to test was proposed.", looked)
    smallest = overall.get("smallest_detectable")
    if not isinstance(smallest, int | float) or not smallest < 1:
        return Verdict("too small", "No difference found, but this audit was too small to find one.", f"Let it draw more texts. {looked}")
    seen = (
        f"a tested habit that {percent(DETECTABLE_BASE_RATE)} of the base’s texts show would have been seen with {100 * POWER:.0f}% chance "
        f"had it changed by {points(smallest, sign=False)} points"
    )
    meant = "A commoner habit would have had to change more, and what no sentence described was not tested."
    return Verdict("none", f"No difference found: {seen}.", f"{looked} {meant}")
