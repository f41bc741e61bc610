"""What a sentence of a labeller must be: one line about one text, that whoever reads this text alone can check.

A language model's reply is untrusted: it may repeat what a text told it to say. What it does not know: whether the sentence is true.
"""

from __future__ import annotations

import re
import unicodedata

from auto_interventions.llm.fences import one_line

LONGEST = 200
"""Characters of a sentence at most."""

_QUOTED = re.compile(r"“[^”]*”|\"[^\"]*\"|«[^»]*»|(?<!\w)['‘][^'’]+['’](?!\w)")
_LEAD = re.compile(r"(?:[-*•–—]\s+|\(?\d{1,2}[.)]\s+)+")
_SUBJECT = re.compile(r"(?:the|this|a|an|each|every)\s+(?:text|response|answer|reply|story|output|completion)\s+(?=\w+s\b)", re.IGNORECASE)
_COUNT = r"(?:an?|one|two|three|four|five|six|seven|eight|nine|ten|twelve|twenty|fifty|half|\d+)\b"
_SIDES = re.compile(
    r"(?<!\w)[XY](?![\w-])(?!-axis)|\b(?:text|side|writer|author|version|response|output)\s+[ABXY12]\b"
    r"|\b(?:the|this|that|these|those|each|one|both|either|neither|other|another|first|second|base|original|changed|intervention"
    r"|fine-?tuned|which)\s+(?:language\s+|chat\s+)?models?\b|\bmodels?\s+[ABXY12]\b",
)
_OTHERS = re.compile(
    r"\b(?:the\s+other|another|both|either|neither|most|many|all|other|some)\s+(?:(?:of\s+)?the\s+)?"
    r"(?:texts?|responses?|answers?|writers?|repl(?:y|ies)|outputs?|completions?|pairs?|samples?|counterparts?|versions?)\b"
    r"|\b(?:its|their)\s+counterparts?\b",
    re.IGNORECASE,
)
_COMPARED = re.compile(
    r"\b(?:compared|relative|in\s+contrast|as\s+opposed|in\s+comparison)\s+(?:to|with)\b|\b(?:whereas|unlike)\b"
    r"|\b(?:more|less)\s+(?:often|frequently|commonly|likely|usually)\b"
    rf"|(?<!once )(?<!for )(?<!or )(?<!no )(?<!any )(?<!and )\b(?:more|less|fewer)\b(?!\s+than\s+{_COUNT})(?!\s+(?:and\s+more|or\s+less))"
    r"(?=\s+\w)"
    r"|\bthan\s+(?:(?:the|its|their)\s+)?(?:other|counterpart|usual|average|typical|normal|texts?|others|in|it|base|alternative)\b"
    r"|^(?:(?:is|are|has|uses|contains|includes|gives|offers|shows|with)\s+)?(?:an?\s+)?(?:\w+ly\s+|much\s+|far\s+|even\s+)?"
    rf"(?:longer|shorter|simpler|lengthier|briefer|plainer)\b(?!\s+than\s+{_COUNT})",
    re.IGNORECASE,
)
_HABIT = re.compile(r"\btends?\s+to\b|\bon\s+average\b|\bin\s+(?:most|many|some)\s+cases\b", re.IGNORECASE)
_JOINED = re.compile(
    r"[;,]|&|\b(?:and|or|while|also|but|plus|then|as\s+well\s+as|along\s+with|together\s+with|followed\s+by|in\s+addition)\b", re.IGNORECASE
)
_RULES = (("names a side", _SIDES), ("names another text", _OTHERS), ("compares", _COMPARED), ("tells a habit", _HABIT))


def tidied(sentence: str) -> str:
    """A sentence as it is kept: one line, without bullet, number, "The text" or full stop, and its verb in lower case.

    >>> tidied("1. The text ends with an explicit moral.")
    'ends with an explicit moral'
    """
    line = one_line(sentence)
    line = _LEAD.sub("", line, count=1) if _LEAD.match(line) else line
    if len(line) > 1 and line[0] + line[-1] in ('""', "“”", "''") and not set(line[1:-1]) & set('"“”'):
        line = line[1:-1].strip()
    line = _SUBJECT.sub("", line, count=1) if _SUBJECT.match(line) else line
    line = line.rstrip(" .;,:")
    first = re.match(r"\w+", line)
    return line[0].lower() + line[1:] if first and len(first[0]) > 1 and first[0][1:].islower() and first[0].endswith("s") else line


def refusal(sentence: str) -> str:
    """Why a tidied sentence cannot be used; "" where it can.

    Quotations may say anything: they are words of a text.

    >>> refusal("ends with an explicit moral"), refusal("is more formal"), refusal("has more than three sentences")
    ('', 'compares', '')
    """
    if len(sentence) > LONGEST:
        return "too long"
    if sum(character.isalpha() for character in sentence) < 3:
        return "says nothing"
    outside = _QUOTED.sub("“”", sentence)
    return next((why for why, pattern in _RULES if pattern.search(outside)), "")


def looks_bundled(sentence: str) -> bool:
    """Whether a sentence may hold several claims; a language model then says.

    >>> looks_bundled("is polite and ends with a question"), looks_bundled("begins with “Well, then”")
    (True, False)
    """
    return _JOINED.search(_QUOTED.sub("“”", sentence)) is not None


def folded(sentence: str) -> str:
    """What two sentences share that say the same in the same words.

    >>> folded('Mentions a "dog".') == folded("mentions a “Dog”")
    True
    """
    plain = unicodedata.normalize("NFKC", sentence).casefold()
    return " ".join(re.findall(r"\w+", plain))
