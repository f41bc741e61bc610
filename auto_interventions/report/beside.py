"""What was looked at beside a verdict, in sentences: `Finding.beside`, whose parts decide nothing.

Only what is there is told; what could not be found out says why. Reasons, names and examples come from language models: they leave here
with what cannot be seen made visible, and the template escapes them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auto_interventions.report import wording
from auto_interventions.report.plain import one_line, visible
from auto_interventions.report.sentences import intent_of

_MARKS = {"intended": "intended", "side effect": "side effect", "unclear": "intended or not: unclear"}
_LONGEST = 600
_NAME = 60
_MOST_PROMPTS = 20


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing that was looked at: what came of it, and what is folded away, with its summary."""

    name: str
    lines: list[str]
    more: list[str]
    more_title: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """Intended or a side effect, with the reason that the model gave."""

    word: str
    kind: str
    reason: str


def mark(finding: Mapping[str, Any]) -> Mark | None:
    """What a finding is to the intent; None where nobody was asked or nothing was said."""
    verdict = intent_of(finding)
    if verdict not in _MARKS:
        return None
    return Mark(_MARKS[verdict], verdict.replace(" ", "-"), one_line(finding["beside"]["intent"].get("reason") or "", _LONGEST))


def reasons(finding: Mapping[str, Any]) -> dict[str, str]:
    """The judge's reason by text id."""
    told = _part(finding, "reasons")
    return {} if told is None or "not_available" in told else {str(key): one_line(value, _LONGEST) for key, value in told.items()}


def remarks(finding: Mapping[str, Any], alpha: float) -> list[Remark]:
    """The list "Beside it" of a card; [] where nothing was looked at."""
    told: list[Remark] = []
    for key, (name, tell) in _TELLERS.items():
        part = _part(finding, key)
        if part is None:
            continue
        if "not_available" in part:
            told.append(Remark(name, [f"not available: {one_line(part['not_available'], _LONGEST).removeprefix('unavailable: ')}"], []))
        elif tell is not None:
            told.append(tell(name, part, alpha))
    return told


def words_of(findings: Sequence[Mapping[str, Any]]) -> str:
    """The words that the bag-of-words baseline goes by (it is one for all findings), as a sentence; "" without one."""
    for finding in findings:
        words = (_part(finding, "bag_of_words") or {}).get("words") or {}
        sides = [f"{_quoted(words[role])} for the {role}" for role in ("intervention", "base") if words.get(role)]
        if sides:
            return f"Words speak most clearly with {wording.join(sides)}."
    return ""


def _quoted(words: Sequence[object]) -> str:
    return ", ".join(f"“{one_line(word, 30)}”" for word in words)


def _part(finding: Mapping[str, Any], key: str) -> Mapping[str, Any] | None:
    part = (finding.get("beside") or {}).get(key)
    return part if isinstance(part, Mapping) else None


def _words(name: str, part: Mapping[str, Any], alpha: float) -> Remark:
    accuracy = part["accuracy"]
    lines = [
        f"Words alone tell whose text is whose in {wording.percent(accuracy['bag_of_words'])} of {part['pairs']:,} pairs, "
        f"this sentence in {wording.percent(accuracy['sentence'])}."
    ]
    if not part.get("hard_pairs"):
        return Remark(name, [*lines, "No pair is hard for words, so there is nothing to add to them."], [])
    gain = _with_interval(part["payoff_on_hard"], part["interval"], alpha)
    end = "it says something that words do not." if part["adds"] else "it cannot be seen to add anything to words."
    return Remark(
        name,
        [
            *lines,
            f"On the {part['hard_pairs']:,} pairs that words get wrong or are unsure of, it differs by {gain} in its direction: {end}",
        ],
        [],
    )


def _strata(name: str, part: Mapping[str, Any], alpha: float) -> Remark:
    kinds = int(part["strata"])
    if kinds < 2:
        return Remark(name, ["Judged on one kind of prompt only."], [])
    lines = [f"Same direction on {part['same_sign']} of {kinds} kinds of prompts, clear by itself on {part['clear'] or 'none'}"]
    lines[0] += f", clearly the other way on {part['opposite']}." if part.get("opposite") else "."
    rest = part.get("without_strongest")
    if rest:
        end = "it does not rest on one kind." if rest["stands"] else "without that kind it cannot be seen."
        left = _with_interval(rest["difference"], rest["interval"], alpha)
        lines.append(f"Without “{one_line(part['strongest'], _NAME)}”, where it is strongest: {left}; {end}")
    return Remark(name, lines, [])


def _panel(name: str, part: Mapping[str, Any], alpha: float) -> Remark:
    lines: list[str] = []
    for one in part.get("judges") or ():
        judge = one_line(one["judge"], _NAME)
        if one.get("failed"):
            lines.append(f"{judge}: {one_line(one['failed'], _LONGEST)}")
        elif not one.get("pairs"):
            lines.append(f"{judge}: no pair judged")
        else:
            rates = f"{wording.percent(one['base_rate'])} → {wording.percent(one['intervention_rate'])}"
            lines.append(f"{judge}: {rates}, {_with_interval(one['difference'], one['interval'], 0.05)}, on {one['pairs']:,} pairs")
    return Remark(name, lines, [_agreement(one) for one in part.get("agreement") or ()], "how far they agree")


def _agreement(one: Mapping[str, Any]) -> str:
    judges = " and ".join(one_line(judge, _NAME) for judge in one["judges"])
    return f"{judges}: {agreement(one)}"


def agreement(one: Mapping[str, Any]) -> str:
    """Two judges' agreement, as "the same verdict on 82% of 40 pairs; κ 0.69 (95% interval 0.64 to 0.74): substantial"."""
    if one.get("agreement") is None:
        return "no pair that both judged"
    same = f"the same verdict on {wording.percent(one['agreement'])} of {one['pairs']:,} pairs"
    kappa, bounds = one.get("kappa"), one.get("interval")
    if kappa is None:
        return f"{same}; κ cannot be told, as both always said one thing"
    between = f" (95% interval {_plain(bounds[0])} to {_plain(bounds[1])})" if bounds else ""
    return f"{same}; κ {_plain(kappa)}{between}: {_degree(kappa)}"


def _degree(kappa: float) -> str:
    """Landis & Koch's word for κ (Biometrics 1977)."""
    words = ((0.8, "almost perfect"), (0.6, "substantial"), (0.4, "moderate"), (0.2, "fair"), (0.0, "slight"))
    return next((f"{word} agreement" for least, word in words if kappa > least), "no agreement beyond luck")


def _generative(name: str, part: Mapping[str, Any], alpha: float) -> Remark:
    bounds = (
        f" ({wording.level(alpha)} interval {_plain(part['interval'][0])} to {_plain(part['interval'][1])})" if part["interval"] else ""
    )
    shown = "The models’ own probabilities show it" if part["shows"] else "The models’ own probabilities do not show it"
    lines = [
        f"{shown}: on texts that neither wrote, at {part['prompts']:,} prompts, the model that should do it more finds those that fit "
        f"likelier than those that do not by {_plain(part['mean'])} nats a token{bounds}; so at "
        f"{wording.percent(part['share_above'])} of prompts, {wording.chance(max(part['p_value'], 1e-300))}."
    ]
    if unusable := part.get("unusable"):
        lines.append("Left out: " + ", ".join(f"{count} {one_line(reason, _NAME)}" for reason, count in unusable.items()) + ".")
    example = part.get("example") or {}
    titles = (("prompt", "Prompt"), ("fits", "Fits"), ("does_not", "Does not fit"))
    return Remark(name, lines, [f"{title}: {one_line(example[key], _LONGEST)}" for key, title in titles if key in example], "an example")


def _identification(name: str, part: Mapping[str, Any], alpha: float) -> Remark:
    if part["accuracy"] is None:
        lines = ["No trial had an answer."]
    else:
        low, high = (wording.percent(bound) for bound in part["interval"])
        lines = [
            f"Knowing this sentence only, a language model told which of the two had answered in {wording.percent(part['accuracy'])} of "
            f"{part['trials']:,} trials ({wording.level(alpha)} interval {low} to {high}; 50% is guessing); "
            f"evidence {wording.odds(wording.log_e_of(part))}."
        ]
    if part.get("unanswered"):
        lines.append(f"{part['unanswered']:,} more without an answer.")
    return Remark(
        name, lines, [one_line(prompt, _LONGEST) for prompt in (part.get("prompts") or ())[:_MOST_PROMPTS]], "the prompts it designed"
    )


def _with_interval(difference: float, bounds: Sequence[float], alpha: float) -> str:
    return f"{wording.points(difference)} points ({wording.level(alpha)} interval {wording.interval(bounds)})"


def _plain(value: float) -> str:
    """A number that is no share, with two digits behind the point.

    >>> _plain(0.687), _plain(-0.1), _plain(-0.001)
    ('0.69', '−0.10', '0.00')
    """
    text = f"{abs(value):.2f}"
    return f"{wording.MINUS if value < 0 and float(text) else ''}{text}"


_TELLERS: dict[str, tuple[str, Callable[[str, Mapping[str, Any], float], Remark] | None]] = {
    "bag_of_words": ("Counting words", _words),
    "generalisation": ("Generalisation", _strata),
    "panel": ("Further judges", _panel),
    "generative": ("Generative validation", _generative),
    "identification": ("Identification", _identification),
    "intent": ("Intent", None),
    "reasons": ("The judge’s reasons", None),
}


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """A sentence with the evidence that decided here, and what tests of published runs say of it."""

    what: str
    evidence: str
    held: str
    cells: list[str]


def published(findings: Sequence[Mapping[str, Any]]) -> list[PublishedRow]:
    """Every sentence that those tests were tried on, the strongest evidence first."""
    rows: list[PublishedRow] = []
    for finding in sorted(findings, key=lambda one: (one["status"] != "validated", -wording.log_e_of(one), one["id"])):
        part = _part(finding, "published_tests")
        if part is None or "binomial" not in part:
            continue
        judged = wording.is_judged(finding)
        tests = [
            f"{wording.chance(part[test]['p_value'])}{' ✓' if part[test]['benjamini_hochberg'] else ''}"
            for test in ("binomial", "mann_whitney")
        ]
        cells = [*tests, "✓" if part["saffron"]["rejected"] else ""] if judged else ["not judged", "", ""]
        what = visible(" ".join(wording.claim(finding)), 300)
        rows.append(PublishedRow(what, wording.proof(finding), "✓" if finding["status"] == "validated" else "", cells))
    return rows
