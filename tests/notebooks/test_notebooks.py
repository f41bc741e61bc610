"""The notebooks run as they stand, in a copy of their folder, and say what they promise. Committed ones hold no output."""

from __future__ import annotations

import ast
import re
import shutil
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

import auto_interventions
from auto_interventions.config import SubjectConfig

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
NAMES = ("demo", "own_models")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Runs a notebook, once: its code cells, and the folder it ran in."""
    held: dict[str, tuple[list[Any], Path]] = {}

    def run(name: str, demo: Path) -> tuple[list[Any], Path]:
        if name not in held:
            place = tmp_path_factory.mktemp(name)
            (place / "demo").symlink_to(demo)
            folder = place / "notebooks"
            folder.mkdir()
            shutil.copy(FOLDER / f"{name}.ipynb", folder)
            book = nbformat.read(folder / f"{name}.ipynb", as_version=4)
            NotebookClient(book, timeout=500, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()
            held[name] = [cell for cell in book.cells if cell.cell_type == "code"], folder
        return held[name]

    return run


def shown(cell: Any) -> str:
    """All that a cell printed or showed, as text."""
    return "\n".join(one.get("text") or one["data"]["text/plain"] for one in cell.outputs)


def pages(cells: list[Any]) -> list[str]:
    """What cells showed as HTML."""
    return [one["data"]["text/html"] for cell in cells for one in cell.outputs if "text/html" in one.get("data", {})]


def test_committed_notebooks_are_clean() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == sorted(NAMES)
    for path in FOLDER.glob("*.ipynb"):
        book = nbformat.read(path, as_version=4)
        nbformat.validate(book)
        for cell in book.cells:
            if cell.cell_type == "code":
                assert cell.outputs == []
                assert cell.execution_count is None
                compile(cell.source, f"{path.name}: {cell.id}", "exec")


def test_the_demo_finds_what_was_planted(ran: Any, demo: Path) -> None:
    cells, folder = ran("demo", demo)
    assert "What changed most: the intervention more often" in shown(cells[2])
    assert "moral" in shown(cells[1])
    assert any("<strong>demo: " in page for page in pages(cells))
    assert "\\begin{table}" in shown(cells[-1])
    assert (folder / "runs" / "demo" / "report.html").is_file()
    assert (folder / "runs" / "demo-dataset" / "README.md").is_file()


def cell(cells: list[Any], begins: str) -> str:
    """All that the one cell showed in which a line begins so."""
    (found,) = [one for one in cells if any(line.startswith(begins) for line in one.source.splitlines())]
    return re.sub(r"\x1b\[[\d;]*m", "", shown(found))


def test_own_models_say_what_to_put_in() -> None:
    """Every field that the first table names is one of a side, and what the notebook links to is there."""
    book = nbformat.read(FOLDER / "own_models.ipynb", as_version=4)
    told = "\n".join(one.source for one in book.cells if one.cell_type == "markdown")
    sides = [ast.literal_eval(one) for one in re.findall(r"`(\{.*?\})`", told)]
    assert {field for side in sides for field in side} >= {"model", "adapter", "system_prompt", "quantization"}
    for side in sides:
        SubjectConfig.model_validate(side)
    assert len(re.findall("← yours", told)) == 3
    for page, _, part in (link.partition("#") for link in re.findall(r"\]\((\.\./docs/[^)]+)\)", told)):
        text = (FOLDER / page).read_text(encoding="utf-8")
        assert not part or part in {
            re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in re.findall(r"^#+ (.*)$", text, re.M)
        }


def test_own_models_go_from_prompts_to_a_paper(ran: Any, demo: Path) -> None:
    """Each cell shows what the words above it say that one should see."""
    cells, folder = ran("own_models", demo)
    runs = folder / "runs"
    estimated = cell(cells, "estimated = ")
    assert re.search(r"texts, both models +\d+ +1,600", estimated)
    assert "$0.00" in estimated
    watched = cell(cells, "run = auto_interventions.audit")
    assert "explore round  1" in watched
    assert "confirm round  1" in watched

    run = auto_interventions.load(runs / "dogs")
    assert cell(cells, "print(run.verdict)").startswith(f"{run.verdict}\n")
    assert run.verdict.kind == "different"
    dog = run.finding("mentions “dog”")
    assert (dog["status"], dog["more_in"]) == ("validated", "intervention"), "the habit that it was taught"
    others = cell(cells, "run.validated.query")
    assert "dog" not in others
    assert "mentions" in others, "what nobody taught it on purpose"

    pairs = cell(cells, "run.pairs(dogs)")
    assert run.sentence("mentions “dog”") in pairs
    first = run.pairs("mentions “dog”").head(5)
    assert all("dog" in text.lower() for text in first["intervention"])
    assert not any("dog" in text.lower() for text in first["base"])

    places = ("farm", "forest", "garden", "kitchen", "school", "sea")
    assert all(place in cell(cells, "dog_id = ") for place in places)
    assert all(place in cell(cells, "held = ") for place in places)

    again = cell(cells, "auto_interventions.diff")
    assert again.startswith("What changed most")
    assert again.rstrip().endswith("()"), "the same change, whatever the seed"
    assert auto_interventions.load(runs / "dogs-again").settings()["sampling"]["seed"] == 1

    assert "\\begin{table}" in cell(cells, "run.export")
    assert (runs / "dogs-dataset" / "README.md").is_file()
    assert (runs / "findings.tex").is_file()
    assert "Quote this finding" in (runs / "dogs" / "report.html").read_text(encoding="utf-8")
