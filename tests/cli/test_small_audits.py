"""Audits at the edge of what can be said: too small a budget, too few texts, strata of one prompt, texts all alike, a silent model.

Where nothing can be said: one sentence with file or field and the fix, exit 2. Where something can: a valid result that says why it
stopped.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from auto_interventions import stages
from auto_interventions.audit_file import load_audit
from auto_interventions.runs import Run, load_run
from auto_interventions.stages.checking import check_files
from auto_interventions.stages.order import order
from auto_interventions.stages.workspace import Workspace

from ..subjects.tiny_models import byte_tokenizer, make_model
from .test_bad_input import run, write

Words = Callable[[str, int, int], str]
WORDS = ("otter", "river", "lamp", "song", "bread", "hill")
SAMPLING = {"max_texts": 60, "initial": 12, "per_round": 8, "rounds": 2}


def of_one_model(role: str, prompt: int, sample: int) -> str:
    """Both sides draw from the same few texts."""
    return f"The {WORDS[(7 * prompt + 5 * sample + 3 * len(role)) % 6]} and the {WORDS[(prompt + sample) % 5]}."


def audit_file(
    folder: Path, words: Words = of_one_model, asked: int = 12, samples: int = 3, stratum: Words = lambda _, prompt, __: "ab"[prompt % 2],
    **parts: dict[str, Any],
) -> Path:  # fmt: skip
    lines = [
        {
            "model": role,
            "prompt": f"Tell me about thing {prompt}",
            "text": words(role, prompt, sample),
            "stratum": stratum(role, prompt, sample),
        }
        for role in ("base", "intervention")
        for prompt in range(asked)
        for sample in range(samples)
    ]
    write(folder / "texts.jsonl", lines)
    audit = {
        "name": "small",
        "base": {"texts": "texts.jsonl"},
        "intervention": {"texts": "texts.jsonl"},
        "prompts": {"source": "recorded", "strata": "given"},
        **parts,
        "sampling": SAMPLING | parts.get("sampling", {}),
        "store": "store",
    }
    (folder / "audit.yaml").write_text(yaml.safe_dump(audit))
    return folder / "audit.yaml"


def result(file: Path) -> Run:
    """The audit's run, made by the command's own stages without the orchestrator."""
    config = load_audit(file)
    check_files(config, file.parent / "run")
    with Workspace.create(config, file.parent / "run") as where:
        order(stages, where)
        assert where.status == "done"
    return load_run(file.parent / "run")


def says_nothing(run: Run) -> None:
    assert run.findings["overall"]["verdict"] == "no difference found"
    assert not [finding for finding in run.findings["findings"] if finding["status"] == "validated"]
    assert not run.strata["divergent"].any()
    assert 0 < run.findings["overall"]["smallest_detectable"] <= 1


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"sampling": {"max_texts": 20}}, ["`sampling.max_texts` is 20", "12 strata", "takes 24", "`prompts.strata: auto`"]),
        ({"sampling": {"initial": 1}}, ["`sampling.initial` is 1", "a pair of texts", "raise it to 2"]),
        ({"sampling": {"per_round": 1}}, ["`sampling.per_round` is 1"]),
        ({"sampling": {"confirm_share": 0.99}}, ["`sampling.confirm_share` is 0.99", "0 of 60 texts for exploring", "lower it"]),
        ({"sampling": {"confirm_share": 0.01}}, ["`sampling.confirm_share` is 0.01", "1 of 60 texts for confirming", "raise it"]),
        ({"inference": {"alpha": 0}}, ["audit.yaml", "`inference.alpha`", "greater than 0", "not 0"]),
        ({"inference": {"alpha": 1}}, ["audit.yaml", "`inference.alpha`", "less than 1", "not 1"]),
        ({"inference": {"alpha": -0.05}}, ["audit.yaml", "`inference.alpha`", "greater than 0"]),
        ({"inference": {"alpha": 5}}, ["audit.yaml", "`inference.alpha`", "less than 1", "not 5"]),
        ({"prompts": {"source": "free"}}, ["audit.yaml", "source `free` needs live models", "`source: recorded`"]),
        ({"prompts": {"source": "free", "path": "x.txt"}}, ["audit.yaml", "`prompts`", "source `free`, so `path` cannot apply"]),
        ({"prompts": {"source": "free", "strata": "given"}}, ["audit.yaml", "`prompts`", "use `strata: auto`"]),
        ({"prompts": {"source": "free", "free_texts": 1}}, ["audit.yaml", "`prompts.free_texts`", "greater than 1"]),
    ],
    ids=lambda value: json.dumps(value)[:50] if isinstance(value, dict) else "",
)
def test_where_nothing_can_be_said(
    parts: dict[str, Any], words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = audit_file(tmp_path, stratum=lambda _, prompt, __: f"stratum {prompt}", **parts)
    code, errors = run("audit", str(file), "--out", str(tmp_path / "run"), capsys=capsys, monkeypatch=monkeypatch)
    sentence = next(line for line in errors.splitlines() if line.startswith("error: "))
    assert code == 2
    for word in words:
        assert word in sentence
    assert not (tmp_path / "run").exists(), "before anything is done"


def test_a_budget_below_one_text_a_stratum_of_clustered_prompts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = audit_file(tmp_path, asked=80, sampling={"max_texts": 14})
    override = ("--set", "prompts.strata=auto")
    code, errors = run("audit", str(file), "--out", str(tmp_path / "run"), *override, capsys=capsys, monkeypatch=monkeypatch)
    assert code == 2
    assert "have 8 strata, so one text of each model in each takes 16; raise it, or lower `prompts.strata_count`" in errors
    assert not (tmp_path / "run").exists()
    check_files(load_audit(file, ["prompts.strata=auto", "prompts.strata_count=7"]), tmp_path / "run")


def test_more_rounds_than_the_prompts_can_feed(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    file = audit_file(tmp_path, samples=2, sampling={"max_texts": 4000, "per_round": 24, "rounds": 50})
    code, _ = run("audit", str(file), "--out", str(tmp_path / "run"), capsys=capsys, monkeypatch=monkeypatch)
    assert code == 0
    done = load_run(tmp_path / "run")
    says_nothing(done)
    assert "Exploring stopped: no prompt has unused texts left (24 texts)" in done.findings["stopped_because"]
    assert (done.run["status"], len(done.run["rounds"])) == ("done", 2)


def test_strata_of_one_prompt(tmp_path: Path) -> None:
    done = result(audit_file(tmp_path, stratum=lambda _, prompt, __: f"stratum {prompt}"))
    says_nothing(done)
    assert len(done.strata) == 6, "those of the explore pool: one prompt cannot be in both"
    assert (done.strata["prompts"] == 1).all()


def test_strata_of_one_prompt_that_differ(tmp_path: Path) -> None:
    def words(role: str, prompt: int, sample: int) -> str:
        return of_one_model(role, prompt, sample) + (" Amen!" if role == "intervention" else "")

    sampling = {"max_texts": 480, "initial": 120, "per_round": 60}
    file = audit_file(tmp_path, words, asked=60, samples=4, stratum=lambda _, prompt, __: f"{prompt}", sampling=sampling)
    done = result(file)
    assert done.findings["overall"]["verdict"] == "different"
    assert any("amen" in finding["statement"].lower() for finding in done.findings["findings"] if finding["status"] == "validated")


@pytest.mark.parametrize("strategy", ["active", "divergence", "boundary", "uniform", "exhaustive"])
@pytest.mark.parametrize("text", ["Yes.", "A text that is long enough to be taken for a copy when it comes twice."], ids=["short", "long"])
def test_all_texts_alike(tmp_path: Path, strategy: str, text: str) -> None:
    done = result(audit_file(tmp_path, lambda *_: text, sampling={"strategy": strategy}))
    says_nothing(done)
    assert "nothing was proposed" in done.findings["stopped_because"]


def test_each_model_always_says_the_same(tmp_path: Path) -> None:
    file = audit_file(
        tmp_path, lambda role, *_: "Yes." if role == "base" else "No, never.", asked=60,
        sampling={"max_texts": 360, "initial": 90, "per_round": 60},
    )  # fmt: skip
    done = result(file)
    assert done.findings["overall"]["verdict"] == "different"
    assert [finding for finding in done.findings["findings"] if finding["status"] == "validated"]


def test_the_smallest_audit_there_can_be(tmp_path: Path) -> None:
    done = result(audit_file(tmp_path, asked=4, samples=1, sampling={"max_texts": 8}))
    says_nothing(done)
    assert "Exploring stopped: " in done.findings["stopped_because"]


def silent(folder: Path) -> Path:
    """A model for which every token ends the text."""
    make_model(seed=1).save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    settings = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps({**settings, "eos_token_id": list(range(400))}))
    return folder


def live_file(folder: Path, base: Path, intervention: Path, **parts: Any) -> Path:
    (folder / "prompts.txt").write_text("".join(f"One day thing {number} went\n" for number in range(80)))
    audit = {
        "name": "silent",
        "base": {"model": str(base)},
        "intervention": {"model": str(intervention)},
        "prompts": {"path": "prompts.txt", "strata_count": 1},
        "sampling": {"max_texts": 200, "initial": 80, "per_round": 40, "rounds": 3, "max_new_tokens": 8},
        "store": "store",
        **parts,
    }
    (folder / "audit.yaml").write_text(yaml.safe_dump(audit))
    return folder / "audit.yaml"


def test_a_model_that_answers_nothing(
    demo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = live_file(tmp_path, demo / "models" / "base", silent(tmp_path / "quiet"))
    code, errors = run("audit", str(file), "--out", str(tmp_path / "run"), capsys=capsys, monkeypatch=monkeypatch)
    assert code == 2
    sentence = next(line for line in errors.splitlines() if line.startswith("error: "))
    assert "intervention: quiet gave 40 empty texts and no other; check `chat_template` and the form of the prompts" in sentence
    assert "Traceback" not in errors


def test_a_model_that_writes_nothing_from_nothing(tmp_path: Path) -> None:
    from auto_interventions.errors import SubjectError

    quiet = silent(tmp_path / "quiet")
    config = load_audit(live_file(tmp_path, quiet, quiet, prompts={"source": "free", "free_texts": 60}))
    with (
        Workspace.create(config, tmp_path / "run") as where,
        pytest.raises(SubjectError, match=r"base: quiet gave \d+ empty texts and no other"),
    ):
        order(stages, where)


def test_two_models_of_which_too_little_was_heard_to_call_them_silent(tmp_path: Path) -> None:
    quiet = silent(tmp_path / "quiet")
    says_nothing(result(live_file(tmp_path, quiet, quiet, sampling={"max_texts": 32, "initial": 8, "per_round": 4, "rounds": 2})))
