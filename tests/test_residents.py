"""What a worker keeps in memory: real models of the demo, limits that are far below and above them."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import pytest

from auto_interventions.config import SamplingConfig, SubjectConfig
from auto_interventions.errors import ConfigError
from auto_interventions.records import Role
from auto_interventions.residents import VARIABLE, Residents
from auto_interventions.subjects.live import LiveSubject


def side(demo: Path, role: Role) -> LiveSubject:
    adapter = str(demo / "adapters" / "format") if role == "intervention" else None
    return LiveSubject(SubjectConfig(model=str(demo / "models" / "base"), adapter=adapter), role, SamplingConfig())


def loaded(live: LiveSubject) -> LiveSubject:
    live.load()
    return live


def test_each_is_loaded_once_where_all_fit(demo: Path) -> None:
    kept = Residents(lambda: 10**12)
    for _ in range(3):
        for role in ("base", "intervention"):
            kept.get(role, side(demo, role).parts, lambda role=role: loaded(side(demo, role)))
    assert kept.loaded == ["base", "intervention"]


def test_sizes_are_those_of_the_weights(demo: Path) -> None:
    base, changed = side(demo, "base"), side(demo, "intervention")
    weights = sum(tensor.numel() * tensor.element_size() for tensor in {id(t): t for t in loaded(base)._model.parameters()}.values())
    (size,) = base.parts().values()
    assert 0.95 < size / weights < 1.1
    assert base.parts().items() < changed.parts().items(), "they share the base"


def test_what_does_not_fit_goes_the_least_recently_used_first(demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = sum(side(demo, "base").parts().values())
    monkeypatch.setenv(VARIABLE, str(2 * size))
    kept = Residents(lambda: 0)  # not asked: the variable rules
    models: list[weakref.ref[object]] = []

    def load(name: str) -> LiveSubject:
        live = loaded(side(demo, "base"))
        models.append(weakref.ref(live))
        return live

    for name in ("first", "second", "first", "third", "first", "second"):
        kept.get(name, lambda name=name: {name: size}, lambda name=name: load(name))
    assert kept.loaded == ["first", "second", "third", "second"], "`first` was in use all the time, `third` made room for `second`"
    gc.collect()
    assert sum(model() is not None for model in models) == 2


def test_shared_parts_count_once() -> None:
    free = 100
    kept = Residents(lambda: free)
    kept.get("base", lambda: {"weights": 80}, object)
    free = 20
    kept.get("adapted", lambda: {"weights": 80, "adapter": 10}, object)
    kept.get("base", lambda: {"weights": 80}, object)
    assert kept.loaded == ["base", "adapted"], "only the adapter had to find room"
    kept.get("encoder", lambda: {"encoder": 30}, object)
    kept.get("base", lambda: {"weights": 80}, object)
    assert kept.loaded == ["base", "adapted", "encoder", "base"], "30 and room to compute in do not fit into 20"


@pytest.mark.parametrize("said", ["a lot", "24 GBB", "-3", "3 parsecs"])
def test_a_limit_that_is_no_size(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv(VARIABLE, said)
    with pytest.raises(ConfigError, match=f"{VARIABLE}={said}: is not a size; write bytes, or for example 24GB"):
        Residents(lambda: 10**12).get("one", lambda: {"one": 1}, object)


@pytest.mark.parametrize(("said", "fits"), [("24GB", True), ("23.9e3", False), ("0.5Gi", True), ("2k", False), ("30000", True)])
def test_limits_as_people_write_them(monkeypatch: pytest.MonkeyPatch, said: str, fits: bool) -> None:
    monkeypatch.setenv(VARIABLE, said.replace("23.9e3", "23900"))
    kept = Residents(lambda: 0)
    for name in ("one", "two", "one"):
        kept.get(name, lambda name=name: {name: 12_000}, object)
    assert (kept.loaded == ["one", "two"]) == fits
