"""LLM Comparator's JSON: the fields that its page reads (client/lib/types.ts), and what they say of the pairs."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from auto_interventions.exports import AuditRun, comparator

# The interfaces DataResponse, Example, IndividualRating, RationaleListItem and the field types of the tool's client (Apache-2.0).
_TEXT, _NUMBER = {"type": "string"}, {"type": ["number", "null"]}
_FIELDS = ["number", "string", "category", "text", "url", "per_model_boolean", "per_model_number", "per_model_category", "per_model_text"]
_RATING = {
    "type": "object",
    "required": ["score", "is_flipped", "rationale"],
    "properties": {"score": _NUMBER, "rating_label": _TEXT, "is_flipped": {"type": "boolean"}, "rationale": _TEXT},
    "additionalProperties": False,
}
_RATIONALE = {
    "type": "object",
    "required": ["rationale", "similarities"],
    "properties": {"rationale": _TEXT, "similarities": {"type": "array", "items": {"type": "number"}}},
    "additionalProperties": False,
}
_EXAMPLE = {
    "type": "object",
    "required": [
        "input_text",
        "tags",
        "output_text_a",
        "output_text_b",
        "score",
        "individual_rater_scores",
        "rationale_list",
        "custom_fields",
    ],
    "properties": {
        **dict.fromkeys(("input_text", "output_text_a", "output_text_b"), _TEXT),
        "tags": {"type": "array", "items": _TEXT},
        "score": {"type": "number", "minimum": -1.5, "maximum": 1.5},
        "individual_rater_scores": {"type": "array", "items": _RATING},
        "rationale_list": {"type": "array", "items": _RATIONALE},
        "custom_fields": {"type": "object"},
    },
    "additionalProperties": False,
}
SCHEMA = {
    "type": "object",
    "required": ["metadata", "models", "examples"],
    "properties": {
        "metadata": {
            "type": "object",
            "required": ["source_path", "custom_fields_schema"],
            "properties": {
                "source_path": _TEXT,
                "custom_fields_schema": {
                    "type": "array",
                    "items": {"type": "object", "required": ["name", "type"], "properties": {"name": _TEXT, "type": {"enum": _FIELDS}}},
                },
            },
        },
        "models": {"type": "array", "minItems": 2, "maxItems": 2, "items": {"type": "object", "required": ["name"]}},
        "examples": {"type": "array", "minItems": 1, "items": _EXAMPLE},
        "rationale_clusters": {"type": "array", "items": {"type": "object", "required": ["title"]}},
    },
    "additionalProperties": False,
}


def test_it_holds_the_tool_s_schema(made: AuditRun, evil: AuditRun, tmp_path: Path) -> None:
    for run in (made, evil):
        content = json.loads(run.export("llm-comparator", tmp_path / f"{run.path.name}.json").read_text())
        jsonschema.validate(content, SCHEMA)
        json.dumps(content, ensure_ascii=False).encode("utf-8")  # half of a pair alone is refused by strict readers
        names = {field["name"] for field in content["metadata"]["custom_fields_schema"]}
        for example in content["examples"]:
            assert set(example["custom_fields"]) == names
            assert all(len(one["similarities"]) == len(content["rationale_clusters"]) for one in example["rationale_list"])


def test_pairs_speak_for_the_findings(made: AuditRun, out: Path) -> None:
    content = json.loads(made.export("llm-comparator", out).read_text())
    assert [model["name"] for model in content["models"]] == [made.models[1], made.models[0]]
    dragon = next(name for name in made.validated["finding"] if "dragon" in name)
    assert dragon.startswith("less often")
    for example in content["examples"]:
        shows = ["dragon" in example[f"output_text_{side}"] for side in "ab"]
        assert example["custom_fields"][dragon] == shows
        ratings = {one["rationale"].split(":")[0]: one["score"] for one in example["individual_rater_scores"]}
        assert ratings.get(f"The intervention {dragon}", 0.0) == 1.5 * (shows[1] - shows[0])
        own = [one["score"] for one in example["individual_rater_scores"]]
        assert example["score"] == pytest.approx(sum(own) / len(own) if own else 0.0, abs=1e-4)
    assert sum(example["score"] for example in content["examples"]) > 0


def test_of_many_pairs_a_sample_is_taken(made: AuditRun, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = json.loads(made.export("llm-comparator", out).read_text())["examples"]
    monkeypatch.setattr(comparator, "MOST_PAIRS", 50)
    some = json.loads(made.export("llm-comparator", out).read_text())["examples"]
    assert len(some) == 50 < len(whole)
    places = [whole.index(example) for example in some]
    assert places == sorted(set(places))
    assert places[-1] - places[0] > len(whole) / 2
