"""Mined prefixes and free banks with the demo's live models."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from auto_interventions import stages
from auto_interventions.config import AuditConfig
from auto_interventions.records import ROLES, Prompt
from auto_interventions.runs import load_run
from auto_interventions.stages.growing import FEWEST_NEW, grow
from auto_interventions.stages.order import order
from auto_interventions.stages.workspace import Workspace

PROMPTS = 24


def config(demo: Path, folder: Path, adapter: str | None = "narrow", **parts: object) -> AuditConfig:
    model = str(demo / "models" / "base")
    lines = (demo / "prompts.jsonl").read_text(encoding="utf-8").splitlines()
    sea = [line for line in lines if json.loads(line)["stratum"] in ("sea", "garden")][:PROMPTS]
    (folder / "prompts.jsonl").write_text("\n".join(sea), encoding="utf-8")
    return AuditConfig.model_validate(
        {
            "name": "growing",
            "base": {"model": model},
            "intervention": {"model": model, "adapter": str(demo / "adapters" / adapter) if adapter else None},
            "prompts": {"path": str(folder / "prompts.jsonl"), "strata": "given"},
            "sampling": {"max_texts": 2000, "initial": 200, "per_round": 60, "rounds": 4, "max_new_tokens": 32},
            "clustering": {"clusters": 6},
            "store": str(folder / "store"),
            **parts,
        }
    )


def explore(where: Workspace, round: int) -> int:
    pairs = stages.plan(where, "explore", round)
    for role in ROLES:
        stages.generate(where, "explore", round, role)
    stages.embed(where, round)
    stages.cluster(where, round)
    stages.diverge(where, round)
    return pairs


def mined(where: Workspace) -> list[Prompt]:
    return [prompt for prompt in where.prompts if prompt.prefix]


@pytest.fixture(scope="module")
def grown(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, dict[str, int]]:
    """Two rounds of 12 exploring prompts, the first asks each 8 times; then a growth, and a round after it."""
    folder = tmp_path_factory.mktemp("grown")
    where = Workspace.create(config(demo, folder), folder / "run")
    counts: dict[str, int] = {}
    stages.prepare(where)
    counts["before the first round"] = grow(where)
    explore(where, 0)
    counts["bank"] = len(where.prompts)
    counts["grown"] = len(mined(where)) or grow(where)
    counts["again"] = grow(where)
    explore(where, 1)
    return where, counts


def test_a_pool_that_was_asked_dry_grows_once_and_with_the_strata_of_its_texts(grown: tuple[Workspace, dict[str, int]]) -> None:
    where, counts = grown
    assert counts["before the first round"] == 0
    assert counts["bank"] == PROMPTS
    assert FEWEST_NEW <= counts["grown"] == len(mined(where))
    assert counts["again"] == 0, "the new prompts were not asked yet"
    strata = {prompt.text: prompt.stratum for prompt in where.prompts if not prompt.prefix}
    assert all(prompt.stratum == strata[prompt.text] for prompt in mined(where))


def test_a_mined_prefix_never_meets_the_confirm_pool(grown: tuple[Workspace, dict[str, int]]) -> None:
    where, _ = grown
    confirm = {prompt.text for prompt in where.prompts_of("confirm")}
    assert len(confirm) == PROMPTS // 2, "the confirm pool is as it was split"
    for prompt in mined(where):
        assert prompt.pool == "explore"
        assert prompt.text not in confirm
        assert prompt.whole not in confirm
    drawn = {text.text for pair in where.pairs["explore", 0] for text in (pair.base, pair.intervention)}
    assert all(any(text.startswith(prompt.prefix) for text in drawn) for prompt in mined(where))
    assert not {pair.prompt.text for pair in where.explored_pairs()} & confirm


def test_both_models_go_on_from_the_prefix(grown: tuple[Workspace, dict[str, int]]) -> None:
    where, _ = grown
    begun = [pair for pair in where.pairs["explore", 1] if pair.prompt.prefix]
    assert len(begun) >= FEWEST_NEW, "the least asked prompts come first"
    for pair in begun:
        assert pair.base.prompt == pair.intervention.prompt == pair.prompt
        assert pair.base.text.strip()
        assert not pair.base.text.startswith(pair.prompt.prefix)
    starts = [text.text[:1] for pair in begun for text in (pair.base, pair.intervention)]
    assert np.mean([start.isspace() or not start.isalnum() for start in starts]) > 0.9, "they begin with a new word"
    assert where.ledger.stages["focus: prefixes"].embeddings_computed > 0


def test_the_tables_show_the_prefix(grown: tuple[Workspace, dict[str, int]]) -> None:
    from auto_interventions.stages.tables import Map, stratum_columns, text_columns

    where, _ = grown
    columns = text_columns(where, Map(where))
    shown = {(prompt, prefix) for prompt, prefix in zip(columns["prompt"], columns["prefix"], strict=True) if prefix}
    assert shown
    assert all(str(prompt).endswith(str(prefix)) and prompt != prefix for prompt, prefix in shown)
    assert np.sum(stratum_columns(where, Map(where), ())["prompts"]) == PROMPTS, "strata are as large as the bank made them"


def test_the_same_audit_mines_the_same(demo: Path, tmp_path: Path, grown: tuple[Workspace, dict[str, int]]) -> None:
    with Workspace.create(config(demo, tmp_path), tmp_path / "run") as where:
        stages.prepare(where)
        explore(where, 0)
        grow(where)
        assert mined(where) == mined(grown[0])


@pytest.mark.parametrize("more", [{"prefixes_after": None}, {"strategy": "uniform"}, {"prefixes_after": 9}], ids=str)
def test_never_when_it_is_switched_off_or_sampling_is_even_or_not_yet_dry(demo: Path, tmp_path: Path, more: dict[str, object]) -> None:
    sampling = {"max_texts": 2000, "initial": 200, "max_new_tokens": 16, **more}
    with Workspace.create(config(demo, tmp_path, sampling=sampling), tmp_path / "run") as where:
        stages.prepare(where)
        explore(where, 0)
        assert grow(where) == 0
        assert mined(where) == []


def test_only_in_the_strata_that_are_named(demo: Path, tmp_path: Path) -> None:
    with Workspace.create(config(demo, tmp_path), tmp_path / "run") as where:
        stages.prepare(where)
        explore(where, 0)
        where.prompts = tuple(prompt for prompt in where.prompts if not prompt.prefix)
        sea = where.explore_state().strata.index("sea")
        assert grow(where, {sea}) == len(mined(where)) > 0
        assert {prompt.stratum for prompt in mined(where)} == {"sea"}


def test_what_is_mined_in_a_part_of_a_stratum_belongs_to_it(demo: Path, tmp_path: Path) -> None:
    with Workspace.create(config(demo, tmp_path), tmp_path / "run") as where:
        stages.prepare(where)
        explore(where, 0)
        where.prompts = tuple(prompt for prompt in where.prompts if not prompt.prefix)
        state = where.explore_state()
        sea = [prompt for prompt in where.prompts_of("explore") if prompt.stratum == "sea"]
        state = state.split(state.strata.index("sea"), [("sea › a", sea[::2]), ("sea › b", sea[1::2])])
        where.exploring = state
        part = state.strata.index("sea › b")
        assert grow(where, {part}) > 0
        assert {prompt.text for prompt in mined(where)} <= {prompt.text for prompt in sea[1::2]}
        assert set(where.explore_state().tree.leaf_of(mined(where)).tolist()) == {part}
        explore(where, 1)


def test_an_audit_of_a_small_bank_grows_by_itself_and_confirms_on_its_own_prompts(demo: Path, tmp_path: Path) -> None:
    sampling = {"max_texts": 900, "initial": 160, "per_round": 140, "rounds": 3, "max_new_tokens": 32, "prefixes_after": 6}
    with Workspace.create(config(demo, tmp_path, sampling=sampling), tmp_path / "run") as where:
        order(stages, where)
    done = load_run(tmp_path / "run")
    begun = done.texts[done.texts["prefix"] != ""]
    assert len(begun)
    assert set(begun["pool"]) == {"explore"}
    confirmed = done.texts[done.texts["pool"] == "confirm"]
    bank = {json.loads(line)["prompt"] for line in (tmp_path / "prompts.jsonl").read_text(encoding="utf-8").splitlines()}
    assert set(confirmed["prompt"]) <= bank
    assert not set(confirmed["prompt"]) & set(done.texts[done.texts["pool"] == "explore"]["prompt"])
    assert done.run["prompts"]["mined"] >= begun["prompt_id"].nunique() >= FEWEST_NEW
    assert (done.run["prompts"]["explore"], done.run["prompts"]["confirm"]) == (PROMPTS // 2, PROMPTS // 2)
    assert done.findings["overall"]["verdict"] == "different"
    assert any("lighthouse" in one["statement"] for one in done.findings["findings"] if one["status"] == "validated")
