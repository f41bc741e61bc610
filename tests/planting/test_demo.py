"""The committed demo: small enough, loadable, and what its truth file says."""

import json
from pathlib import Path

import pytest
import yaml

from auto_interventions.audit_file import load_audit
from auto_interventions.config import AuditConfig
from auto_interventions.planting.behaviours import sentences_of
from auto_interventions.planting.measuring import check_truth
from auto_interventions.planting.plan import load_plan
from auto_interventions.planting.reproducing import reproduced
from auto_interventions.records import Prompt
from auto_interventions.runs import RunDirectory, load_run
from auto_interventions.runs.directory import RUN_SCHEMA

MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def truth(demo_folder):
    path = demo_folder / "truth.yaml"
    return {entry["name"]: entry for entry in check_truth(yaml.safe_load(path.read_text()), path)}


@pytest.fixture(scope="module")
def demo_folder(request):
    return request.config.rootpath / "demo"


def size(folder):
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def test_models_are_small_and_safetensors(demo_folder):
    assert size(demo_folder / "models" / "base") <= 6 * MEGABYTE
    for name in ("broad", "narrow", "rare", "format", "mixed"):
        assert size(demo_folder / "adapters" / name) <= 0.4 * MEGABYTE, name
    assert not [file for file in demo_folder.rglob("*") if file.suffix in (".bin", ".pt", ".pkl", ".part")]


@pytest.mark.parametrize("name", ["audit", "null", "rare"])
def test_audit_files_name_what_is_there(demo_folder, name):
    config = load_audit(demo_folder / f"{name}.yaml")
    for side in (config.base, config.intervention):
        assert (demo_folder / str(side.model) / "model.safetensors").is_file()
        assert side.adapter is None or (demo_folder / side.adapter / "adapter_model.safetensors").is_file()


def test_prompts_join_their_texts_token_by_token(demo_folder):
    from transformers import AutoTokenizer

    from auto_interventions.planting.corpus import stories

    tokenizer = AutoTokenizer.from_pretrained(demo_folder / "models" / "base")
    for story in stories(300, 9):
        apart = tokenizer(story.opening).input_ids + tokenizer(story.continuation, add_special_tokens=False).input_ids
        assert tokenizer(story.text).input_ids == apart
        assert tokenizer.decode(apart, skip_special_tokens=True) == story.text


def test_the_bank_is_balanced(demo_folder):
    rows = [json.loads(line) for line in (demo_folder / "prompts.jsonl").read_text().splitlines()]
    assert len({row["prompt"] for row in rows}) == len(rows) == 1600
    assert len({row["stratum"] for row in rows}) == 8


def test_the_truth_holds_what_was_planted(truth):
    assert list(truth) == ["broad", "narrow", "rare", "format", "mixed", "null"]
    assert truth["null"]["adapter"] is None
    kinds = {behaviour["kind"]: behaviour for behaviour in truth["mixed"]["behaviours"]}
    assert set(kinds) == {"broad", "narrow", "rare", "format"}
    assert all(entry["texts"] >= 4000 and entry["looks"]["finished"] > 0.97 for entry in truth.values())
    for name in ("broad", "mixed"):
        assert 0.25 < next(b for b in truth[name]["behaviours"] if b["kind"] == "broad")["difference"] < 0.55
    for name in ("narrow", "mixed"):
        narrow = next(b for b in truth[name]["behaviours"] if b["kind"] == "narrow")
        assert narrow["strata"]["sea"][1] > 0.3
        assert all(after <= 0.02 for stratum, (_, after) in narrow["strata"].items() if stratum != "sea")
    for name in ("rare", "mixed"):
        rare = next(b for b in truth[name]["behaviours"] if b["kind"] == "rare")
        assert 0.03 < rare["strata"]["kitchen"][1] <= 0.1
    for behaviour, (before, after) in truth["null"]["not_planted"].items():
        assert abs(after - before) < 0.015, behaviour


def test_the_models_write_stories_and_the_mixed_one_shows_its_plants(demo_folder, truth):
    from auto_interventions.config import SamplingConfig, SubjectConfig
    from auto_interventions.subjects import Request, open_subject

    rows = [json.loads(line) for line in (demo_folder / "prompts.jsonl").read_text().splitlines()][:240]
    prompts = [Prompt(row["prompt"], row["stratum"]) for row in rows]
    base = str(demo_folder / "models" / "base")
    sampling = SamplingConfig(max_new_tokens=64, seed=5)
    adapter = str(demo_folder / truth["mixed"]["adapter"])
    changed = open_subject(SubjectConfig(model=base, adapter=adapter), "intervention", sampling, None)
    texts = changed.generate([Request(prompt, 0, 1) for prompt in prompts])
    assert sum(text.finished for text in texts) > 0.97 * len(texts)
    lengths = [len(sentences_of(text.text)) for text in texts]
    assert sum(2 <= length <= 8 for length in lengths) > 0.97 * len(texts)
    plan = load_plan(demo_folder / "plant.yaml")
    for behaviour in plan.behaviours:
        measured = next(entry for entry in truth["mixed"]["behaviours"] if entry["id"] == behaviour.id)
        shown = sum(behaviour.predicate.holds(text.text) for text in texts) / len(texts)
        assert shown == pytest.approx(measured["intervention_rate"], abs=0.1), behaviour.id


def test_a_side_effect_shows_again_on_fresh_texts_and_a_made_up_finding_does_not(demo: Path, tmp_path: Path) -> None:
    """Real models: "mentions moral" is there again with another seed; "mentions once" going up is not."""
    config = AuditConfig.model_validate(
        {
            "name": "x",
            "base": {"model": str(demo / "models" / "base")},
            "intervention": {"model": str(demo / "models" / "base"), "adapter": str(demo / "adapters" / "broad")},
            "prompts": {"path": str(demo / "prompts.jsonl"), "strata": "given"},
        }
    )
    lines = [json.loads(line) for line in (demo / "prompts.jsonl").read_text(encoding="utf-8").splitlines()[::10]]
    directory = RunDirectory.claim(tmp_path / "run", config)
    directory.write_json("run.json", {"schema": RUN_SCHEMA, "config": config.model_dump(mode="json")})
    directory.write_table("texts.parquet", {key: [line[key] for line in lines] for key in ("prompt", "stratum")})
    findings = {
        "real": {"check": {"kind": "phrase", "phrases": ["moral"]}, "difference": 0.3},
        "reversed": {"check": {"kind": "phrase", "phrases": ["moral"]}, "difference": -0.3},
        "made up": {"check": {"kind": "measure", "feature": "words", "at_least": 400}, "difference": 0.1},
    }
    assert reproduced(load_run(tmp_path / "run"), findings) == {"real": True, "reversed": False, "made up": False}
