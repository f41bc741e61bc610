from __future__ import annotations

import doctest
from typing import Any

import pytest

from auto_interventions.comparing import wording
from auto_interventions.inference import fixed


@pytest.mark.parametrize("module", [wording, fixed])
def test_examples(module: Any) -> None:
    assert doctest.testmod(module).failed == 0
