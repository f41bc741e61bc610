"""A made run turned into one with language models: judged sentences, all that is looked at beside them, judges, money."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

Json = dict[str, Any]
EVIL = "</p></script><script>alert(1)</script><img src=x onerror=alert(1)>\u202e\u200b\ud800{{ 7*7 }} javascript:alert(1)"


def judge_run(folder: Path, word: str = "", intents: tuple[str, ...] = ("intended", "side effect", "side effect", "unclear")) -> Path:
    """Changes the run in `folder`, and gives it. `word` stands in everything that a language model may have written or named."""
    findings = _read(folder / "findings.json")
    for number, finding in enumerate(findings["findings"]):
        finding["beside"] = {"published_tests": _published(number)}
    held = [finding for finding in findings["findings"] if finding["status"] == "validated"]
    for number, finding in enumerate(held):
        finding["beside"] |= {"generalisation": generalisation(word), "bag_of_words": bag_of_words(word, adds=number == 0)}
        if number < len(intents):
            finding["beside"]["intent"] = {"verdict": intents[number], "reason": f"Morals were asked for. {word}"}
    if held:
        _spoken(held[0], f"ends with an explicit moral {word}".strip(), word)
        held[0]["beside"] |= {name: told(word) for name, told in LIVE.items()}
        held[0]["beside"]["reasons"] = dict.fromkeys(held[0]["evidence"], f"It says “the moral”. {word}")
        _spoken(held[-1], f"The text has a dragon in it. {word}".strip(), word)
        held[-1] |= {"interval": [-1.0, 1.0]}
        held[-1]["beside"] |= {name: {"not_available": f"recorded texts {word}"} for name in ("generative", "identification", "reasons")}
    rest = [finding for finding in findings["findings"] if finding["status"] != "validated"]
    _spoken(rest[0], f"teaches a lesson {word}".strip(), word)
    rest[0] |= {"pairs": 0, "base_rate": 0.0, "intervention_rate": 0.0, "difference": 0.0, "interval": [-1.0, 1.0], "log_e": 0.0}
    (folder / "findings.json").write_text(json.dumps(findings))
    _add(folder / "run.json", run(word))
    _add(folder / "ledger.json", ledger(findings["findings"], word))
    return folder


def _read(path: Path) -> Json:
    content: Json = json.loads(path.read_text())
    return content


def _add(path: Path, more: Json) -> None:
    path.write_text(json.dumps(_read(path) | more))


def _spoken(finding: Json, statement: str, word: str) -> None:
    judges = [f"openai:cheap{word}", "openai:strong"]
    finding |= {"statement": statement, "check": None, "source": "labeller", "judges": judges, "also": []}


def _published(number: int) -> Json:
    p_value = 10.0 ** -(9 - 2 * number) if number < 4 else 0.4
    tested = {"p_value": p_value, "benjamini_hochberg": p_value < 0.05}
    return {"binomial": tested, "mann_whitney": tested, "saffron": {"level": 0.002, "rejected": number < 3}, "pairs": 200}


def generalisation(word: str) -> Json:
    rest = {"difference": 0.31, "interval": [0.2, 0.42], "prompts": 80, "stands": True}
    counts = {"strata": 8, "same_sign": 8, "clear": 5, "opposite": 0}
    return {**counts, "each": [], "strongest": f"farm{word}", "without_strongest": rest}


def bag_of_words(word: str, adds: bool) -> Json:
    return {
        "pairs": 400,
        "accuracy": {"bag_of_words": 0.71, "sentence": 0.68},
        "auc": {"bag_of_words": 0.77, "sentence": 0.7},
        "hard_pairs": 120,
        "hard_prompts": 90,
        "payoff_on_hard": 0.24 if adds else -0.02,
        "interval": [0.11, 0.36] if adds else [-0.14, 0.1],
        "adds": adds,
        "words": {"intervention": [f"moral{word}", "kind"], "base": ["dragon", "hill"]},
    }


def _panel(word: str) -> Json:
    shares = {"pairs": 40, "base_rate": 0.03, "intervention_rate": 0.4, "difference": 0.37, "interval": [0.24, 0.5]}
    names = ["openai:cheap", f"gemini:other{word}"]
    agreed = {"pairs": 40, "agreement": 0.9, "kappa": 0.81, "interval": [0.66, 0.95]}
    judges = [*({"judge": name, **shares} for name in names), {"judge": "anthropic:third", "failed": f"not available: no key {word}"}]
    return {"judges": judges, "agreement": [{"judges": names, **agreed}]}


def _generative(word: str) -> Json:
    example = {"prompt": f"One day {word}", "fits": f"The moral is kindness. {word}", "does_not": f"They went home. {word}"}
    tested = {"prompts": 11, "mean": 0.12, "interval": [0.05, 0.19], "share_above": 0.91, "p_value": 0.002, "shows": True}
    return {**tested, "unusable": {f"alike{word}": 1}, "example": example}


def _identification(word: str) -> Json:
    told = {"trials": 30, "accuracy": 0.8, "interval": [0.61, 0.93], "e_value": 340.0, "log_e": math.log(340)}
    return {**told, "unanswered": 2, "prompts": [f"One day Tom lied. {word}", "Once a fox"]}


LIVE = {"panel": _panel, "generative": _generative, "identification": _identification}


def run(word: str) -> Json:
    cheap = {"judge": f"openai:cheap{word}", "mode": "pairwise", "asked": 2066, "first": 560, "second": 425, "both": 203, "neither": 870}
    cheap |= {"unclear": 8, "failed": {f"malformed{word}": 3}, "asked_again": 5, "batches_given_up": True}
    cheap |= {"position_bias": {"value": 0.137, "interval": [0.075, 0.198]}, "statements": 38}
    strong = {**cheap, "judge": "openai:strong", "asked": 931, "first": 250, "second": 250, "unclear": 0, "failed": {}, "asked_again": 0}
    strong |= {"batches_given_up": False, "position_bias": {"value": 0.0, "interval": [-0.08, 0.08]}}
    known = {"pairs": 40, "sentences": 8, "unjudged": 0, "specificity": {"value": 0.85, "interval": [0.7, 0.93]}}
    rates = ({"value": 0.825, "interval": [0.667, 0.917]}, {"value": None, "interval": [0.0, 1.0]})
    items = [{**known, "judge": judge["judge"], "sensitivity": rate} for judge, rate in zip((cheap, strong), rates, strict=True)]
    counts = {"calls": 8, "failed": 1, "proposed": 29, "split": 2, "merged": 11, "refused": {f"compares{word}": 3}, "dropped": 4}
    agreed = {"pairs": 891, "agreement": 0.818, "kappa": 0.688, "interval": [0.636, 0.74]}
    return {
        "labelling": counts,
        "themes_by_source": f"malformed: themes {word}",
        "not_examined": {f"further judges{word}": f"openai:other: no key {word}"},
        "judging": {"judges": [cheap, strong], "agreement": agreed, "known_items": items},
    }


def ledger(findings: list[Json], word: str) -> Json:
    counts = {"calls": 484, "cached": 12, "replies": 480, "failures": {"malformed": 4}, "attempts": 484, "repairs": 2}
    counts |= {"input_tokens": 883930, "output_tokens": 23121, "cached_input_tokens": 0, "dollars_saved": 0.0021, "dollars_unsure": 0.0}
    models = {f"openai:cheap{word}": {**counts, "dollars": 0.0976}, "openai:strong": {**counts, "dollars": 0.6039, "dollars_unsure": 0.15}}
    by_judge = {
        f"openai:cheap{word}": {"calls": 63, "cached": 2, "dollars": 0.0134},
        "openai:strong": {"calls": 56, "cached": 0, "dollars": 0.16},
    }
    spoken = [finding for finding in findings if finding["check"] is None]
    hypotheses = {
        one["id"]: {"statement": one["statement"], "dollars": 0.1769 / (n + 1), "by_judge": by_judge} for n, one in enumerate(spoken)
    }
    return {"models": models, "hypotheses": hypotheses, "dollars_before": 0.4}
