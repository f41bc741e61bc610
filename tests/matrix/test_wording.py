"""What a matrix says of variation that is not there, and the axis of its picture and a diff's."""

from __future__ import annotations

import doctest
import re
from typing import Any

import numpy as np
import pytest

from auto_interventions.diffing import diff_runs
from auto_interventions.diffing import figures as diff_figures
from auto_interventions.inference.variance_shares import Share, variance_shares
from auto_interventions.matrix import figures, matrix_of, wording
from auto_interventions.matrix.sources import Sources
from auto_interventions.records import FloatArray
from auto_interventions.report import drawing
from tests.diffing.runs import made_run

PROMPTS = [f"p{number}" for number in range(120)]


@pytest.mark.parametrize("module", [wording, drawing])
def test_examples(module: Any) -> None:
    ran = doctest.testmod(module)
    assert ran.attempted
    assert not ran.failed


def variation(values: FloatArray) -> str:
    shares = variance_shares(values, ["run", "sentence"])
    return wording.variation(Sources("all", (0, 1), shares, (), ("a", "b"), None))


def test_variation_that_is_not_there() -> None:
    assert variation(np.full((2, 3), 0.25)) == "Their sizes do not vary at all."
    alike = variation(np.tile([0.1, 0.5, -0.2], (3, 1)))
    assert alike == "Of the variation in their sizes, 100% goes with the sentence; none of it can be seen to go with the run."


def test_an_interval_that_is_a_point_is_not_told_as_one() -> None:
    assert wording.share_cells(Share(0.0, 0.0, (0.0, 0.0))) == ("0%", "known closely")
    assert wording.share_cells(Share(0.1, 0.3, (0.1, 0.52))) == ("30%", "10% to 52%")


@pytest.mark.parametrize("narrow", [True, False])
def test_axes_count_points_from_a_bare_zero(narrow: bool) -> None:
    runs = [made_run(name, {"sun": (0.1, 0.6), "moon": (0.5, 0.1)}, seed, PROMPTS, ["sun", "moon"]) for seed, name in enumerate("ab")]
    for drawn in (figures.picture(matrix_of(runs), narrow=narrow), diff_figures.picture(diff_runs(runs[0], runs[1]), narrow=narrow)):
        assert drawn is not None
        texts = re.findall(r"<text[^>]*>([^<]*)</text>", drawn.svg)
        assert [text for text in texts if re.fullmatch(r"[+−-]?\d+%?", text)] == ["−40", "−20", "0", "+20", "+40"]
        assert "role-axis-grid" not in drawn.svg
