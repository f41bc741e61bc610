"""Foreign text made safe wherever Markdown is rendered: exports, dataset cards, and Prefect’s UI, wherever an artifact has words.

What a model or a prompt says may hold pictures (the browser would fetch them from a foreign host), links, tables, tags. Tried on both user
interfaces of Prefect 3.8.8: the older one renders Markdown in descriptions and in the cells of tables, the newer one does not in cells;
neither runs scripts, both fetch pictures, and character references (`&#60;`) are shown as they are written.
"""

from __future__ import annotations

import re

from auto_interventions.report.plain import one_line

# What means something wherever it stands, a colon that could begin an emoji's code, and what does at the beginning of a line.
_MEANING = re.compile(r"^(?P<number>\d{1,9})(?=[.)])|(?=[\\`*_{}\[\]<>|~$&#=^]|:\S|(?<![\s\S])[-+])")
# Where an address becomes a link although nobody wrote one: an invisible word joiner there stops it. `one_line` has shown foreign ones.
_LINKING = re.compile(r"(?<=:)(?=//)|(?<=[wW]{3})(?=\.)|(?<=@)")
_JOINER = "\u2060"
# The nearest characters without a meaning that the UI's fonts have.
_LIKE = str.maketrans({"<": "‹", ">": "›", "[": "(", "]": ")", "`": "'", "*": "∗", "|": "¦", "~": "∼", "&": f"&{_JOINER}"})


def escaped(text: object, longest: int = 200) -> str:
    """`text` as one line of Markdown that shows it and means nothing.

    >>> escaped("![a](x) | <b>")
    '!\\\\[a\\\\](x) \\\\| \\\\<b\\\\>'
    """
    return _MEANING.sub(r"\g<number>\\", unlinked(text, longest))


def cell(text: object, longest: int = 200) -> str:
    """`text` as one line for a table artifact, whose cells are Markdown in one of the two UIs and plain text in the other.

    >>> cell("![a](x) | <b>")
    '!(a)(x) ¦ ‹b›'
    """
    return unlinked(text, longest).translate(_LIKE)


def unlinked(text: object, longest: int = 200) -> str:
    """`text` as one line for logs and names, in which no address becomes a link."""
    return _LINKING.sub(_JOINER, one_line(text, longest))
