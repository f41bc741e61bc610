from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from auto_interventions.config import PromptsConfig
from auto_interventions.errors import PromptError
from auto_interventions.prompts import load_prompts
from auto_interventions.subjects import RecordedTexts

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def save(content: Any, name: str = "prompts.txt") -> Path:
        path = tmp_path / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif name.endswith(".jsonl"):
            path.write_text("".join(json.dumps(row) + "\n" for row in content))
        elif name.endswith(".parquet"):
            pd.DataFrame(content).to_parquet(path)
        else:
            pd.DataFrame(content).to_csv(path, index=False)
        return path

    return save


def load(path: Path, **config: Any) -> list[Any]:
    return load_prompts(PromptsConfig(path=str(path), **config))


def refuses(path: Path, match: str, **config: Any) -> None:
    with pytest.raises(PromptError, match=match) as caught:
        load(path, **config)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_prompt_a_line_with_its_spaces(write: Write) -> None:
    path = write("\ufeffOne day \r\n  an otter\n\n   \nNA\nOù ? \u2028same line\n".encode())
    assert [prompt.text for prompt in load(path)] == ["One day ", "  an otter", "NA", "Où ? \u2028same line"]


@pytest.mark.parametrize("name", ["p.csv", "p.jsonl", "p.parquet"])
def test_tables_keep_every_byte(write: Write, name: str) -> None:
    rows = [{"prompt": text, "stratum": text[:1]} for text in ("One day ", "NA", "null", 'a "b", c\nd', " 1 ", "é")]
    prompts = load(write(rows, name))
    assert [(prompt.text, prompt.stratum) for prompt in prompts] == [(row["prompt"], row["stratum"]) for row in rows]


def test_near_equal_prompts_are_one_and_the_first_is_kept(write: Write) -> None:
    path = write(b"One day \nan otter\nONE  day\none day\nAn\totter \nOne, day\n")
    assert [prompt.text for prompt in load(path)] == ["One day ", "an otter"]


def test_the_cap_is_a_random_choice_that_the_rest_of_the_bank_does_not_change(write: Write) -> None:
    lines = [f"prompt {number}" for number in range(400)]
    chosen = [prompt.text for prompt in load(write("\n".join(lines).encode()), max_prompts=100)]
    assert len(chosen) == 100
    assert chosen == sorted(chosen, key=lines.index)
    assert 30 < sum(lines.index(text) < 200 for text in chosen) < 70
    assert chosen == [prompt.text for prompt in load(write("\n".join(lines).encode()), max_prompts=100)]
    shuffled = lines[::-1]
    assert {prompt.text for prompt in load(write("\n".join(shuffled).encode()), max_prompts=100)} == set(chosen)
    other = load_prompts(PromptsConfig(path=str(write("\n".join(lines).encode())), max_prompts=100), [], seed=1)
    assert {prompt.text for prompt in other} != set(chosen)
    assert len(load(write("\n".join(lines).encode()), max_prompts=1000)) == 400


def test_empty_banks(write: Write) -> None:
    refuses(write(b""), r"holds no prompts; write one a line")
    refuses(write(b"\n  \n"), r"holds no prompts")
    refuses(write(b"", "p.jsonl"), r"holds no rows; give a file with columns prompt")
    refuses(write(b"prompt\n", "p.csv"), r"holds no rows")


def test_prompts_that_are_all_alike(write: Write) -> None:
    refuses(write(b"One day \n" * 7), r"all 7 prompts are alike \('One day '\); give prompts that differ")
    refuses(write([{"prompt": "one day"}, {"prompt": "One  Day"}], "p.jsonl"), r"all 2 prompts are alike")
    assert len(load(write(b"One day \n"))) == 1


def test_a_missing_column_an_empty_prompt_a_number(write: Write) -> None:
    refuses(write([{"question": "Why?"}], "p.csv"), r"has no column `prompt` \(it has question\); add it")
    refuses(write([{"prompt": "a"}, {"prompt": " "}], "p.jsonl"), r"line 2: `prompt` is empty; fill it in")
    refuses(write([{"prompt": "a"}, {"prompt": None}], "p.parquet"), r"row 2: `prompt` is empty")
    refuses(write([{"prompt": "a"}, {"prompt": 3}], "p.jsonl"), r"line 2: `prompt` is '3', not a text")


def test_files_that_cannot_be_read(write: Write, tmp_path: Path) -> None:
    refuses(tmp_path / "nowhere.txt", r"no such prompt file; mend `prompts\.path`")
    refuses(tmp_path / "nowhere.jsonl", r"no such file")
    refuses(write("é".encode("latin-1")), r"is not UTF-8 text \(byte 0\)")
    refuses(write(b"x", "p.yaml"), r"`\.yaml` is not a kind of prompt file; use \.txt")
    refuses(tmp_path, r"is not a kind of prompt file|cannot be read")


def test_given_strata_must_be_given(write: Write) -> None:
    rows = [{"prompt": "a", "stratum": "x"}, {"prompt": "b", "stratum": 7}]
    assert [prompt.stratum for prompt in load(write(rows, "p.jsonl"), strata="given")] == ["x", "7"]
    refuses(write([*rows, {"prompt": "c"}], "p.jsonl"), r"the prompt 'c' has no `stratum`, which `strata: given` needs", strata="given")
    refuses(write(b"a\nb\n"), r"the prompt 'a' has no `stratum`", strata="given")
    refuses(write([*rows, {"prompt": "a", "stratum": "y"}], "p.jsonl"), r"is in `stratum` 'x' and in 'y'; keep one", strata="given")


def recorded_file(tmp_path: Path) -> Path:
    path = tmp_path / "recorded.jsonl"
    rows = [{"model": model, "prompt": prompt, "text": "x", "stratum": "s"} for prompt in ("b ", "a") for model in ("base", "intervention")]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_prompts_of_recorded_texts(tmp_path: Path) -> None:
    recorded = [RecordedTexts.read(recorded_file(tmp_path))]
    prompts = load_prompts(PromptsConfig(source="recorded", strata="given"), recorded)
    assert [(prompt.text, prompt.stratum) for prompt in prompts] == [("b ", "s"), ("a", "s")]
    with pytest.raises(PromptError, match=r"`prompts.source: recorded` needs recorded `texts`"):
        load_prompts(PromptsConfig(source="recorded"), [])


def test_prompts_that_a_recorded_side_does_not_hold(write: Write, tmp_path: Path) -> None:
    recorded = [RecordedTexts.read(recorded_file(tmp_path), ("intervention",))]
    config = PromptsConfig(path=str(write(b"a\nb \nc\nd\n")))
    with pytest.raises(PromptError, match=r"prompts\.txt: the prompt 'c' \(and 1 more\) has no text with `model` intervention in .*jsonl"):
        load_prompts(config, recorded)
    assert len(load_prompts(PromptsConfig(path=str(write(b"a\nb \n"))), recorded)) == 2


@pytest.mark.parametrize("name", ["xstest_mistral_guardrail", "stories_moral"])
def test_real_recorded_texts(shared: Path, name: str) -> None:
    recorded = [RecordedTexts.read(shared / "recorded" / f"{name}.jsonl")]
    prompts = load_prompts(PromptsConfig(source="recorded"), recorded)
    assert len(prompts) == {"xstest_mistral_guardrail": 450, "stories_moral": 64}[name]
    assert all(prompt.text in recorded[0].texts["intervention"] for prompt in prompts)


def test_a_real_bank(shared: Path) -> None:
    prompts = load(shared / "prompts/story_openings.jsonl", strata="given")
    assert len(prompts) == 1414
    assert {prompt.stratum for prompt in prompts} == {"dog", "animal", "person", "thing"}
    assert all(prompt.text.endswith(" ") for prompt in prompts)
