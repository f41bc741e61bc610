"""Whole plantings, small: a model from nothing, and an adapter on a base that is there."""

import json
import shutil

import pytest
import yaml

from auto_interventions.errors import ConfigError
from auto_interventions.planting import plant

LINES = {
    "id": "lines",
    "kind": "format",
    "description": "a line a sentence",
    "share": 1.0,
    "rule": {"kind": "lines"},
    "check": {"kind": "measure", "feature": "line_breaks", "at_least": 2},
}
SHAPE = {"vocabulary": 320, "hidden": 16, "intermediate": 32, "layers": 1, "heads": 2, "positions": 256}
FROM_NOTHING = {
    "name": "tiny",
    "base": "base",
    "prompts": "prompts.jsonl",
    "corpus": {"stories": 64, "prompts": 16, "shape": SHAPE, "fit": {"steps": 5, "batch": 8}},
    "measuring": {"samples_per_prompt": 2, "max_new_tokens": 8},
    "behaviours": [LINES],
    "interventions": [{"name": "null"}],
}


def truth_of(folder):
    return yaml.safe_load((folder / "truth.yaml").read_text())


def write(folder, plan):
    (folder / "plant.yaml").write_text(yaml.safe_dump(plan))
    return folder / "plant.yaml"


@pytest.fixture(scope="module")
def from_nothing(tmp_path_factory):
    """The folder of a planting that trained its own base, and what its progress said."""
    folder = tmp_path_factory.mktemp("nothing")
    said = []
    truth = plant(write(folder, FROM_NOTHING), progress=lambda what, done, of: said.append((what, done, of)))
    assert truth == folder / "truth.yaml"
    return folder, said


@pytest.fixture(scope="module")
def on_demo(tmp_path_factory, request):
    """The folder of a planting on the demo's base with prompts of the user's own; its base lies beside the plan."""
    folder = tmp_path_factory.mktemp("demo")
    demo = request.config.rootpath / "demo"
    shutil.copytree(demo / "models" / "base", folder / "mine")
    rows = [json.loads(line) for line in (demo / "prompts.jsonl").read_text().splitlines()[:40]]
    (folder / "prompts.txt").write_text("".join(row["prompt"] + "\n" for row in rows))
    plan = {
        "name": "own",
        "base": "mine",
        "prompts": "prompts.txt",
        "planting": {"texts": 240, "lora": {"rank": 4}, "fit": {"steps": 40, "batch": 16, "learning_rate": 1e-2}},
        "measuring": {"samples_per_prompt": 3, "max_new_tokens": 64},
        "behaviours": [LINES],
        "interventions": [{"name": "format", "behaviours": ["lines"]}, {"name": "null"}],
    }
    plant(write(folder, plan))
    return folder


def test_a_base_bank_and_truth_are_made_from_nothing(from_nothing):
    folder, said = from_nothing
    truth = truth_of(folder)
    assert len((folder / "prompts.jsonl").read_text().splitlines()) == truth["prompts"] == 16
    assert (folder / "base" / "model.safetensors").is_file()
    null = truth["interventions"][0]
    assert (null["adapter"], null["behaviours"], null["texts"]) == (None, [], 32)
    last = {what: (done, of) for what, done, of in said}
    assert last["training the base"] == (5, 5)
    assert all(done == of for done, of in last.values())


def test_what_is_there_is_not_made_again_unless_asked(from_nothing, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(from_nothing[0], folder)
    said = set()
    plant(folder / "plant.yaml", progress=lambda what, done, of: said.add(what))
    assert "training the base" not in said
    assert truth_of(folder) == truth_of(from_nothing[0])
    plant(folder / "plant.yaml", progress=lambda what, done, of: said.add(what), again=True)
    assert "training the base" in said
    # The same plan on the same machine makes the same model.
    assert (folder / "base" / "model.safetensors").read_bytes() == (from_nothing[0] / "base" / "model.safetensors").read_bytes()


def test_a_changed_plan_is_made_anew(from_nothing, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(from_nothing[0], folder)
    said = set()
    plant(write(folder, {**FROM_NOTHING, "seed": 1}), progress=lambda what, done, of: said.add(what))
    assert "training the base" in said


def test_a_base_that_does_not_end_its_texts_is_refused(from_nothing, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(from_nothing[0], folder)
    with pytest.raises(ConfigError, match=r"plant\.yaml.*max_new_tokens"):
        plant(write(folder, {**FROM_NOTHING, "interventions": [{"name": "format", "behaviours": ["lines"]}]}))
    assert not (folder / "adapters").exists()


def test_the_planted_behaviour_shows_and_the_null_has_none(on_demo):
    truth = truth_of(on_demo)
    known = {entry["name"]: entry for entry in truth["interventions"]}
    shown = known["format"]["behaviours"][0]
    assert shown["intervention_rate"] > shown["base_rate"] + 0.3
    assert shown["difference"] == pytest.approx(shown["intervention_rate"] - shown["base_rate"], abs=1e-4)
    assert 0 < shown["standard_error"] < 0.2
    before, after = known["null"]["not_planted"]["lines"]
    assert abs(after - before) < 0.15
    assert (truth["base"], known["format"]["adapter"]) == ("mine", "adapters/format")


def test_only_the_named_intervention_is_made(on_demo, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(on_demo, folder)
    said = set()
    plant(folder / "plant.yaml", only=["null"], progress=lambda what, done, of: said.add(what))
    assert said == {"measuring the base", "measuring null"}
    assert truth_of(folder) == truth_of(on_demo)
