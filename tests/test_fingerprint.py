"""Fingerprints and seeds depend on what is named, in every process alike."""

from __future__ import annotations

import subprocess
import sys

import pytest

from auto_interventions.fingerprint import canonical_json, fingerprint, generator, seed_of


def test_order_of_keys_does_not_matter() -> None:
    assert fingerprint({"a": 1, "b": [1.5, None]}) == fingerprint({"b": [1.5, None], "a": 1})


def test_parts_are_kept_apart() -> None:
    assert fingerprint("ab", "c") != fingerprint("a", "bc")
    assert fingerprint(1) != fingerprint("1")


def test_a_trailing_space_counts() -> None:
    assert fingerprint("prompt ") != fingerprint("prompt")


def test_lone_surrogates_have_a_fingerprint() -> None:
    assert fingerprint("\ud800") != fingerprint("\ud801")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_has_none(value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(value)


def test_a_set_has_none() -> None:
    with pytest.raises(TypeError):
        fingerprint({1, 2})


def test_same_in_another_process() -> None:
    code = "from auto_interventions.fingerprint import seed_of; print(seed_of('sample', 0, 'base', 'é', 3))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "99"})
    assert int(other.stdout) == seed_of("sample", 0, "base", "é", 3)


def test_generators_of_different_parts_are_unrelated() -> None:
    first, second = generator("a", 1).random(2000), generator("a", 2).random(2000)
    assert abs(float(((first - 0.5) * (second - 0.5)).mean()) * 12) < 0.1
    assert (generator("a", 1).random(5) == first[:5]).all()
