"""`auto_interventions.audit`, `load`, `diff`, the command `export`: what they take, how they refuse. Audits run in tests/notebooks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import auto_interventions
from auto_interventions import api
from auto_interventions.audit_file import load_audit
from auto_interventions.cli.app import app
from auto_interventions.errors import BadInput, ConfigError, RunDirectoryError
from auto_interventions.exports import FORMATS, AuditRun


def test_a_dictionary_is_an_audit_file(demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import yaml

    content: dict[str, Any] = yaml.safe_load((demo / "audit.yaml").read_text())
    before = json.dumps(content)
    monkeypatch.chdir(demo)
    overrides = {"sampling.seed": 7, "name": "other", "clustering.clusters": 5, "budget.dollars": None, "prompts.strata": "auto"}
    of_file = load_audit(demo / "audit.yaml", [f"{key}={json.dumps(value)}" for key, value in overrides.items()])
    assert api.config_of(content, overrides) == api.config_of(str(demo / "audit.yaml"), overrides) == of_file
    assert json.dumps(content) == before
    assert api.config_of(load_audit(demo / "audit.yaml"), overrides) == of_file
    assert (of_file.sampling.seed, of_file.name, of_file.prompts.strata) == (7, "other", "auto")


@pytest.mark.parametrize(
    ("change", "told"),
    [({"promts": {}}, "`promts` is not a known field; did you mean `prompts`"), ({"sampling": {"seed": "x"}}, "`sampling.seed`")],
)
def test_mistakes_are_told_before_anything_is_written(demo: Path, out: Path, change: dict[str, Any], told: str) -> None:
    content = {"name": "a", "base": {"model": str(demo)}, "intervention": {"model": str(demo)}, "prompts": {"path": "p.txt"}, **change}
    with pytest.raises(ConfigError, match=told):
        auto_interventions.audit(content, out)
    with pytest.raises(BadInput):
        auto_interventions.audit(demo / "audit.yaml", out, overrides={"prompts.path": "nowhere.txt"})
    assert not out.exists()


def test_diff_takes_runs_and_paths(made: AuditRun, tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="no such file"):
        auto_interventions.load(tmp_path / "nowhere")
    with pytest.raises(RunDirectoryError):  # fixtures of the report note no random sample
        auto_interventions.diff(made, str(made.path))


def test_diff_is_the_command_s(tmp_path: Path) -> None:
    import pandas as pd

    from tests.report.making import BEHAVIOURS, NOTHING, make_run

    paths = [make_run(tmp_path / name, behaviours=which) for name, which in (("one", NOTHING), ("two", BEHAVIOURS))]
    for path in paths:
        texts = pd.read_parquet(path / "texts.parquet")
        texts["backbone"] = texts["pool"] == "confirm"
        texts.to_parquet(path / "texts.parquet")
    found = auto_interventions.diff(paths[0], auto_interventions.load(paths[1]))
    assert "mentions “moral”" in [change.statement for change in found.told]
    done = CliRunner().invoke(app, ["diff", *map(str, paths), "--out", str(tmp_path / "diff"), "--json"])
    assert json.loads(done.stdout)["changes"] == json.loads(json.dumps(found.as_dict()))["changes"]


@pytest.mark.parametrize("to", [to for to in FORMATS if to not in ("wandb", "mlflow")])
def test_the_command_writes_what_the_object_writes(made: AuditRun, tmp_path: Path, to: str) -> None:
    done = CliRunner().invoke(app, ["export", str(made.path), "--to", to, "--out", str(tmp_path / "command")])
    assert done.exit_code == 0, done.output
    assert done.stdout == f"Exported: {tmp_path / 'command'}\n"
    made.export(to, tmp_path / "object")
    files = sorted(path for path in (tmp_path / "command").rglob("*")) or [tmp_path / "command"]
    for path in files:
        if path.is_file():
            assert path.read_bytes() == (tmp_path / "object" / path.relative_to(tmp_path / "command")).read_bytes()


def test_without_out_it_goes_into_the_run(tmp_path: Path) -> None:
    from tests.report.making import make_run

    folder = make_run(tmp_path / "run")
    before = {path.name for path in folder.iterdir()}
    for to, place in (("latex", "findings.tex"), ("csv", "csv"), ("llm-comparator", "llm-comparator.json")):
        done = CliRunner().invoke(app, ["export", str(folder), "--to", to, "--json"])
        assert json.loads(done.stdout) == {"format": to, "path": str(folder / "exports" / place)}
        assert (folder / "exports" / place).exists()
    assert {path.name for path in folder.iterdir()} == before | {"exports"}


def test_the_command_refuses_in_a_sentence(made: AuditRun, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "diary.txt").write_text("x")
    for words, told in (
        (["--to", "parqet"], "did you mean `parquet`"),
        (["--to", "csv", "--out", str(tmp_path / "mine")], "diary.txt"),
        (["--to", "latex", "--out", str(tmp_path / "mine")], "is a folder; give --out a file"),
    ):
        command = [str(Path(sys.executable).with_name("auto-interventions")), "export", str(made.path), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 2
        assert told in done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout == ""
