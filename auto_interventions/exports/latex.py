"""Foreign text made safe for LaTeX: it shows itself and commands nothing, whichever engine reads it."""

from __future__ import annotations

import re

from auto_interventions.report.plain import one_line

PREAMBLE = (
    "% Needs \\usepackage{booktabs}; with pdfLaTeX also \\usepackage[T1]{fontenc}.\n"
    "% What pdfLaTeX has no letters for is shown by its number there, and as it is by XeLaTeX and LuaLaTeX (given a font that has it).\n"
    "\\providecommand{\\aicharacters}[2]{\\ifdefined\\Umathchar #1\\else\\texttt{#2}\\fi}\n"
)
"""What must stand before a table once: the macro for letters that pdfLaTeX lacks."""

_COMMANDS = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\char34{}",  # babel's German and Dutch make it a command
    "`": r"\textasciigrave{}",
    "'": r"\textquotesingle{}",
    "“": r"\textquotedblleft{}",
    "”": r"\textquotedblright{}",
    "‘": r"\textquoteleft{}",
    "’": r"\textquoteright{}",
    "–": r"\textendash{}",
    "—": r"\textemdash{}",
    "…": r"\textellipsis{}",
    "·": r"\textperiodcentered{}",
    "•": r"\textbullet{}",
    "−": "$-$",
    "→": r"$\rightarrow$",
    "×": r"$\times$",
    "∞": r"$\infty$",
    "κ": r"$\kappa$",
}
# Two of these side by side become one dash or quotation mark.
_LIGATURES = re.compile(r"(?<=([-,?!]))(?=\1)")
_RAISED = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+")
_LOWERED = str.maketrans({**dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789", strict=True)), "⁻": "$-$"})
# Letters that T1 fonts have are left alone: Latin-1's and those of Latin Extended-A.
_FOREIGN = re.compile("[^\x00-\x7f\u00a1\u00a3\u00a7\u00a9\u00ab\u00ae\u00b0\u00b1\u00b5\u00b6\u00bb\u00bf\u00c0-\u017e]+")


def escaped(text: object, longest: int = 400) -> str:
    """`text` as one line of LaTeX that shows it and means nothing.

    >>> escaped("50% of $x_1$ & \\\\input{/etc/passwd}")
    '50\\\\% of \\\\$x\\\\_1\\\\$ \\\\& \\\\textbackslash{}input\\\\{/etc/passwd\\\\}'
    """
    line = _LIGATURES.sub("\x00", one_line(text, longest))
    return "".join(_character(piece) for piece in re.findall(f"{_RAISED.pattern}|{_FOREIGN.pattern}|.", line))


def _character(piece: str) -> str:
    if piece in _COMMANDS:
        return _COMMANDS[piece]
    if piece == "\x00":
        return "{}"
    if _RAISED.fullmatch(piece):
        return rf"\textsuperscript{{{piece.translate(_LOWERED)}}}"
    if len(piece) > 1 and any(one in _COMMANDS for one in piece):
        return "".join(_character(one) for one in piece)
    if not _FOREIGN.fullmatch(piece):
        return piece
    numbers = " ".join(f"U+{ord(one):04X}" for one in piece)
    return rf"\aicharacters{{{piece}}}{{{numbers}}}"
