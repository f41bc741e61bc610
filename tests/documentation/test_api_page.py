"""The code of docs/api.md, executed as it stands on the page, in a folder that holds the demo and an earlier run."""

from __future__ import annotations

import ast
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import auto_interventions
from auto_interventions.errors import BadInput
from tests.documentation.reading import ROOT, blocks

PAGE = ROOT / "docs" / "api.md"
FIRST, SECOND = list(blocks(PAGE, "python"))
FULL, SMALLER = "max_texts: 3600, initial: 800", "max_texts: 2000, initial: 600"


@pytest.fixture(scope="module")
def given(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What each line of the page gives, by its beginning. The demo's audit file asks for fewer texts; the page says as it says."""
    place = tmp_path_factory.mktemp("page")
    shutil.copytree(demo, place / "demo")
    file = place / "demo" / "audit.yaml"
    assert FULL in file.read_text()
    file.write_text(file.read_text().replace(FULL, SMALLER))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("AUTO_INTERVENTIONS_CACHE", str(place / "cache"))
        auto_interventions.audit("demo/audit.yaml", out="runs/before", overrides={"sampling.seed": 1})
        names: dict[str, Any] = {}
        values: dict[str, Any] = {}
        for statement in ast.parse(FIRST.text).body:
            source = ast.unparse(statement)
            if isinstance(statement, ast.Expr):
                values[source] = eval(compile(ast.Expression(statement.value), FIRST.where, "eval"), names)
            else:
                exec(compile(ast.Module([statement], []), FIRST.where, "exec"), names)
        values["run"] = names["run"]
        yield values


def value(given: dict[str, Any], begins: str) -> Any:
    """What the one line that begins so gave."""
    (found,) = [one for source, one in given.items() if source.startswith(begins)]
    return found


def test_every_line_gives_what_its_comment_says(given: dict[str, Any]) -> None:
    run = given["run"]
    assert len(given) == 8, "a line was added: say here what it gives"
    assert str(run.verdict) == f"{run.verdict.headline} {run.verdict.detail}"
    assert run.verdict.headline.startswith("What changed most: the intervention more often mentions “moral”")

    frame = value(given, "run.validated")
    sizes = run.validated["difference"].abs()
    assert isinstance(frame, pd.DataFrame)
    assert len(frame) > 5
    assert sizes.iloc[0] == sizes.max(), "the largest first"

    sentence = value(given, "run.sentence")
    assert sentence.startswith("The intervention more often mentions “lighthouse”: ")
    assert "95% interval" in sentence

    assert list(value(given, "run.pairs").columns) == ["prompt", "base", "intervention"]
    assert all("lighthouse" in text for text in value(given, "run.pairs")["intervention"]), "those that show it first"

    where = value(given, "run.by_stratum")
    assert where.sort_values("difference")["stratum"].iloc[-1] == "sea", "as it was planted (demo/plant.yaml)"
    assert len(where) == 8

    assert "\\begin{table}" in value(given, "run.export").read_text(encoding="utf-8")
    assert value(given, "auto_interventions.diff") == (), "the same audit with another seed: nothing changed"


def test_the_run_can_be_loaded_as_the_comment_says(given: dict[str, Any]) -> None:
    assert 'load("runs/demo")' in FIRST.text
    assert auto_interventions.load("runs/demo").verdict == given["run"].verdict


def test_frames_are_as_the_page_says(given: dict[str, Any]) -> None:
    """Safe to look at, raw in the cells, plain when asked for, and strictly of another type than plain ones."""
    frame = given["run"].pairs("lighthouse")
    plain = pd.DataFrame(frame)
    assert type(frame) is not pd.DataFrame
    assert type(plain) is pd.DataFrame
    assert frame["base"].tolist() == plain["base"].tolist()
    pd.testing.assert_frame_equal(plain, pd.DataFrame(frame))
    with pytest.raises(AssertionError):
        pd.testing.assert_frame_equal(frame, plain)


def test_the_dictionary_is_an_audit_whose_mistakes_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its placeholders are no files, so it says what is missing, before anything is written."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match=r"prompts\.txt|path-or-hub-id|path-to-lora"):
        exec(compile(SECOND.text, SECOND.where, "exec"), {"auto_interventions": auto_interventions})
    assert not (tmp_path / "runs").exists()
