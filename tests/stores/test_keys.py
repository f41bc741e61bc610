"""Keys: everything that can change a value is in them, or excused."""

from __future__ import annotations

import pytest

from auto_interventions.fingerprint import fingerprint
from auto_interventions.stores.keys import ContentKeys, name_entry, parts_of
from auto_interventions.stores.sealed import seal, unseal

MODEL = fingerprint("model")


def test_a_key_tells_kind_version_and_model() -> None:
    parts = parts_of(ContentKeys("reply", 3, MODEL, 1).of("text"))
    assert parts is not None
    assert (parts.kind, parts.version, parts.model) == ("reply", 3, MODEL[:12])


def test_whatever_differs_gives_another_key() -> None:
    keys = [
        ContentKeys("vector", 1, MODEL).of("a"),
        ContentKeys("vector", 1, MODEL).of("b"),
        ContentKeys("vector", 2, MODEL).of("a"),
        ContentKeys("reply", 1, MODEL).of("a"),
        ContentKeys("vector", 1, MODEL[:-1] + "0").of("a"),  # the same 12 digits
        ContentKeys("vector", 1, MODEL, None).of("a"),
        ContentKeys("vector", 1, MODEL, "a").of(""),
        ContentKeys("vector", 1, MODEL).of(""),
        ContentKeys("vector", 1, MODEL).of_parts("a"),
        ContentKeys("vector", 1, MODEL).of_parts("a", None),
        ContentKeys("vector", 1, MODEL).of("\0a"),
        ContentKeys("vector", 1, MODEL).of("\ud800"),
    ]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("key", ["", "vector/v1/" + 64 * "0", "vector/v1/0123456789ab/" + 63 * "0", "Vector/v1/0123456789ab/" + 64 * "0"])
def test_other_strings_are_no_keys_of_ours(key: str) -> None:
    assert parts_of(key) is None


def test_a_models_names_are_entries() -> None:
    (one, value), (other, _) = name_entry(MODEL, "gpt"), name_entry(MODEL, "GPT")
    assert one != other
    assert value == b"gpt"
    parts = parts_of(one)
    assert parts is not None
    assert parts.model == MODEL[:12]


@pytest.mark.parametrize("value", [None, 0, [1, "x", True], {"a": [None]}, "é \ud800", 1.5])
def test_sealed_values_come_back(value: object) -> None:
    assert unseal(seal(value)) == value


def test_damaged_foreign_and_absent_values_are_misses() -> None:
    whole = seal(["text", 3, True])
    for place in range(len(whole)):
        assert unseal(whole[:place]) is None
        assert unseal(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]) is None
    assert unseal(None) is None
    assert unseal(b'["text", 3, true]') is None
