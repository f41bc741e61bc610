"""Pandas frames that hold what models wrote as they wrote it, and are safe to look at, in a notebook and on a terminal.

What pandas shows of a frame it escapes, but characters that cannot be seen stay (a text may run backwards across its cell), and a
notebook's MathJax typesets what stands between dollars.
"""

from __future__ import annotations

from typing import cast

import pandas as pd

from auto_interventions.report.plain import visible

UNTOUCHED = "tex2jax_ignore mathjax_ignore"
"""Classes of HTML that MathJax leaves alone (its versions 2 and 3)."""


class SafeSeries(pd.Series):
    """A column, or a row, of a `SafeFrame`."""

    @property
    def _constructor(self) -> type[SafeSeries]:
        return SafeSeries

    @property
    def _constructor_expanddim(self) -> type[SafeFrame]:
        return SafeFrame

    def __repr__(self) -> str:
        return _seen(super().__repr__())


class SafeFrame(pd.DataFrame):
    """A frame as any other; what is taken from it is one, too. `pandas.DataFrame(frame)` makes it a plain one."""

    @property
    def _constructor(self) -> type[SafeFrame]:
        return SafeFrame

    @property
    def _constructor_sliced(self) -> type[SafeSeries]:
        return SafeSeries

    def __repr__(self) -> str:
        return _seen(super().__repr__())

    def _repr_html_(self) -> str | None:
        page = cast("str | None", super()._repr_html_())  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
        return None if page is None else f'<div class="{UNTOUCHED}">{_seen(page)}</div>'


def _seen(shown: str) -> str:
    """`shown` in its own lines, characters that cannot be seen as their names."""
    return visible(shown, len(shown))
