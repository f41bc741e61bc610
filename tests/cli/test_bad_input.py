"""Every mistake a user can make: exit 2, one sentence that names the file, the field and the fix, nothing written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from auto_interventions.cli import main

Edit = Callable[[Path, dict[str, dict[str, object]]], None]


def rows(prompts: int = 12, samples: int = 2) -> list[dict[str, str]]:
    return [
        {"model": role, "prompt": f"Tell me about thing {prompt}", "text": f"Thing {prompt}, number {sample}.", "stratum": "ab"[prompt % 2]}
        for role in ("base", "intervention")
        for prompt in range(prompts)
        for sample in range(samples)
    ]


def write(path: Path, lines: list[dict[str, str]]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture
def audit(tmp_path: Path) -> dict[str, dict[str, object]]:
    """A good audit of recorded texts, and one prompt file, both in `tmp_path`."""
    write(tmp_path / "texts.jsonl", rows())
    (tmp_path / "prompts.txt").write_text("".join(f"Prompt number {number}\n" for number in range(10)))
    return {
        "base": {"texts": "texts.jsonl"},
        "intervention": {"texts": "texts.jsonl"},
        "prompts": {"source": "recorded", "strata": "given"},
        "sampling": {"max_texts": 40, "initial": 12, "per_round": 8, "rounds": 2},
        "clustering": {"clusters": 2},
    }


def run(*arguments: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    monkeypatch.setattr("sys.argv", ["auto-interventions", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0), capsys.readouterr().err


def unknown_key(folder: Path, audit: dict[str, dict[str, object]]) -> None:
    audit["sampling"]["temprature"] = 1


def no_such_texts(folder: Path, audit: dict[str, dict[str, object]]) -> None:
    audit["base"]["texts"] = "absent.jsonl"


def no_such_model(folder: Path, audit: dict[str, dict[str, object]]) -> None:
    audit["base"] = audit["intervention"] = {"model": "./no-model-here"}
    audit["prompts"] = {"path": "prompts.txt"}


def empty_model_folder(folder: Path, audit: dict[str, dict[str, object]]) -> None:
    (folder / "model").mkdir()
    audit["base"] = audit["intervention"] = {"model": "model"}
    audit["prompts"] = {"path": "prompts.txt"}


def missing_column(folder: Path, audit: dict[str, dict[str, object]]) -> None:
    write(folder / "texts.jsonl", [{key: row[key] for key in ("model", "prompt")} for row in rows()])


def prompt_of_one_model_only(folder: Path, audit: dict[str, dict[str, object]]) -> None:
    write(folder / "texts.jsonl", [*rows(), {"model": "base", "prompt": "Only base was asked", "text": "yes", "stratum": "a"}])


def unknown_role(folder: Path, audit: dict[str, dict[str, object]]) -> None:
    write(folder / "texts.jsonl", [{**rows()[0], "model": "finetuned"}, *rows()[1:]])


def empty_texts(folder: Path, audit: dict[str, dict[str, object]]) -> None:
    write(folder / "texts.jsonl", [{**row, "text": ""} for row in rows()])


def no_prompts(folder: Path, audit: dict[str, dict[str, object]]) -> None:
    (folder / "prompts.txt").write_text("\n\n")
    audit["prompts"] = {"path": "prompts.txt"}


def prompts_all_alike(folder: Path, audit: dict[str, dict[str, object]]) -> None:
    (folder / "prompts.txt").write_text("Same\n" * 20)
    audit["prompts"] = {"path": "prompts.txt"}


def no_prompt_file(folder: Path, audit: dict[str, dict[str, object]]) -> None:
    audit["prompts"] = {"path": "absent.jsonl"}


def strata_not_given(folder: Path, audit: dict[str, dict[str, object]]) -> None:
    audit["prompts"] = {"path": "prompts.txt", "strata": "given"}


def few_prompts(folder: Path, audit: dict[str, dict[str, object]]) -> None:
    write(folder / "texts.jsonl", rows(prompts=3))


def few_texts(folder: Path, audit: dict[str, dict[str, object]]) -> None:
    audit["sampling"]["max_texts"] = 4


def more_clusters_than_texts(folder: Path, audit: dict[str, dict[str, object]]) -> None:
    audit["clustering"]["clusters"] = 500


def no_such_encoder(folder: Path, audit: dict[str, dict[str, object]]) -> None:
    audit["embedding"] = {"model": "./no-encoder-here"}


def bad_own_hypothesis(folder: Path, audit: dict[str, dict[str, object]]) -> None:
    audit["hypotheses"] = {"own": [{"kind": "phrase"}]}


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (unknown_key, ["audit.yaml", "`sampling.temprature`", "`temperature`"]),
        (no_such_texts, ["absent.jsonl"]),
        (no_such_model, ["no-model-here", "base"]),
        (empty_model_folder, ["model", "config.json"]),
        (missing_column, ["texts.jsonl", "text"]),
        (prompt_of_one_model_only, ["texts.jsonl", "Only base was asked"]),
        (unknown_role, ["texts.jsonl", "finetuned"]),
        (empty_texts, ["texts.jsonl", "empty"]),
        (no_prompts, ["prompts.txt"]),
        (prompts_all_alike, ["prompts.txt"]),
        (no_prompt_file, ["absent.jsonl"]),
        (strata_not_given, ["prompts.txt", "stratum"]),
        (few_prompts, ["texts.jsonl", "3"]),
        (few_texts, ["sampling.max_texts", "4"]),
        (more_clusters_than_texts, ["clustering.clusters", "500", "40 texts"]),
        (no_such_encoder, ["no-encoder-here"]),
        (bad_own_hypothesis, ["hypotheses.own.0", "phrases"]),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_bad_audit(
    edit: Edit,
    words: list[str],
    audit: dict[str, dict[str, object]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    edit(tmp_path, audit)
    (tmp_path / "audit.yaml").write_text(yaml.safe_dump({"name": "bad", **audit}))
    out = tmp_path / "run"
    code, errors = run("audit", str(tmp_path / "audit.yaml"), "--out", str(out), capsys=capsys, monkeypatch=monkeypatch)
    assert code == 2, errors
    sentence = next(line for line in errors.splitlines() if line.startswith("error: "))
    for word in words:
        assert word in sentence
    assert "Traceback" not in errors
    assert not out.exists(), "nothing may be half-written"


def test_missing_audit_file(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    code, errors = run("audit", str(tmp_path / "absent.yaml"), capsys=capsys, monkeypatch=monkeypatch)
    assert (code, "absent.yaml: no such file" in errors) == (2, True)


def test_output_folder_of_other_files(
    audit: dict[str, dict[str, object]], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "audit.yaml").write_text(yaml.safe_dump({"name": "x", **audit}))
    code, errors = run("audit", str(tmp_path / "audit.yaml"), "--out", str(tmp_path), capsys=capsys, monkeypatch=monkeypatch)
    assert code == 2
    assert "not an audit's" in errors


def test_an_adapter_for_another_base(
    demo: Path,
    audit: dict[str, dict[str, object]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copytree(demo / "models" / "base", tmp_path / "wide")
    shape = json.loads((tmp_path / "wide" / "config.json").read_text())
    (tmp_path / "wide" / "config.json").write_text(json.dumps({**shape, "hidden_size": 2 * shape["hidden_size"]}))
    audit["base"] = {"model": str(demo / "models" / "base")}
    audit["intervention"] = {"model": "wide", "adapter": str(demo / "adapters" / "broad")}
    audit["prompts"] = {"path": "prompts.txt"}
    (tmp_path / "audit.yaml").write_text(yaml.safe_dump({"name": "x", **audit}))
    out = tmp_path / "run"
    code, errors = run("audit", str(tmp_path / "audit.yaml"), "--out", str(out), capsys=capsys, monkeypatch=monkeypatch)
    assert code == 2
    assert "broad" in errors
    assert not out.exists()


def test_report_and_score_need_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for command in (["report", str(tmp_path)], ["score", str(tmp_path), str(tmp_path / "truth.yaml")]):
        code, errors = run(*command, capsys=capsys, monkeypatch=monkeypatch)
        assert code == 2
        assert "error: " in errors
