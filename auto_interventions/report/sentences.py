"""Statements describe one text; readers are told what a model does. How the one becomes the other, and what a list of findings comes to.

A check's statement is always a verb phrase ("mentions “moral”"). A language model's, or the user's, may be any sentence: what is not
clearly a verb phrase is quoted as it is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

_OF_CHECKS = (("has ", "writes texts with "), ("is written in ", "writes in "), ("is ", "writes texts that are "))
_OF_OTHERS = (
    ("has not ", "has not "),
    ("has ", "writes texts with "),
    ("contains ", "writes texts with "),
    ("lacks ", "writes texts without "),
    ("is written in ", "writes in "),
    ("is a ", "writes a "),
    ("is an ", "writes an "),
    ("is ", "writes texts that are "),
)
# Plural nouns that begin sentences about texts; some are verbs too, where an article or a quotation follows.
_NOUNS = re.compile(
    "actions|animals|answers|bullets|characters|children|claims|clauses|colours|colors|descriptions|details|dialogues|emojis|"
    "emotions|endings|events|examples|facts|feelings|friends|headings|headers|instructions|items|letters|lines|lists|names|"
    "numbers|objects|openings|others|paragraphs|parts|people|phrases|points|questions|quotes|replies|responses|sections|"
    "sentences|steps|stories|texts|things|thoughts|times|titles|turns|verbs|words"
)
_NO_VERBS = re.compile("this|its|his|hers|ours|theirs|yours|thus|perhaps|besides|unless|always")
_AUXILIARIES = re.compile("are|were|have|had|do|did|can|could|will|would|may|might|must|should")
_ARTICLES = re.compile("(a|an|the|its|his|her|their|no|one|two|several|some|any|at)$|[\"“'‘]")


def said_of_model(statement: str, checked: bool) -> str:
    """What stands after "The intervention more often …". `checked`: the statement is a check's.

    >>> said_of_model("has a happy ending", False), said_of_model("Ends with a moral.", False)
    ('writes texts with a happy ending', 'ends with a moral')
    >>> said_of_model("The text ends with a moral", False)
    'fits “The text ends with a moral”'
    """
    if not checked:
        statement = statement.strip()
        lowered = statement[:1].lower() + statement[1:]
        if not is_verb_phrase(lowered):
            return f"fits {statement if statement.startswith('“') else f'“{statement}”'}"
        statement = lowered.rstrip(" .")
    for of_text, of_model in _OF_CHECKS if checked else _OF_OTHERS:
        if statement.startswith(of_text):
            return of_model + statement.removeprefix(of_text)
    return statement


def is_verb_phrase(statement: str) -> bool:
    """Whether a statement begins with a verb in the third person, perhaps after an adverb.

    >>> [is_verb_phrase(one) for one in ("explicitly states a moral", "sentences are short", "a moral at the end", "names the hero")]
    [True, False, False, True]
    """
    words = re.findall(r"[^\s,;:.]+", statement)
    if len(words) > 1 and re.fullmatch(r"[a-z]+ly", words[0]):
        words = words[1:]
    if not words or not re.fullmatch(r"is|[a-z][a-z-]*[^s]s", words[0]):
        return False
    first, second = words[0], words[1] if len(words) > 1 else ""
    if _NO_VERBS.fullmatch(first) or first.endswith("ous") or _AUXILIARIES.fullmatch(second):
        return False
    return not _NOUNS.fullmatch(first) or _ARTICLES.match(second) is not None


def intents(held: Sequence[Mapping[str, Any]]) -> str:
    """How many validated findings were meant, as a sentence; "" where nobody was asked.

    >>> intents([{"beside": {"intent": {"verdict": one}}} for one in ("intended", "side effect", "side effect")])
    '1 of 3 findings is what was meant; 2 are side effects.'
    """
    counts = Counter(intent_of(finding) for finding in held)
    weighed = sum(counts[kind] for kind in ("intended", "side effect", "unclear"))
    if not weighed:
        return ""
    meant, many = counts["intended"], f"{len(held)} finding{'s' if len(held) > 1 else ''}"
    parts = [f"{meant or 'None'} of {many} {'are' if meant > 1 else 'is'} what was meant"]
    if beyond := counts["side effect"]:
        parts.append(f"{beyond} {'are side effects' if beyond > 1 else 'is a side effect'}")
    if unclear := counts["unclear"]:
        parts.append(f"for {unclear} the intent does not say")
    if left := len(held) - weighed:
        parts.append(f"{left} {'were' if left > 1 else 'was'} not compared with it")
    return "; ".join(parts) + "."


def intent_of(finding: Mapping[str, Any]) -> str:
    """The verdict of a finding's intent: "intended", "side effect", "unclear", or "" where there is none."""
    intent = (finding.get("beside") or {}).get("intent")
    return str(intent.get("verdict") or "") if isinstance(intent, Mapping) else ""
