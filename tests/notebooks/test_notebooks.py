"""The notebooks run as they stand, in a copy of their folder, and say what they promise. Committed ones hold no output."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

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


def test_own_models_show_the_habit_they_learnt(ran: Any, demo: Path) -> None:
    cells, folder = ran("own_models", demo)
    assert any("more often mentions “dog”" in page for page in pages(cells))
    assert (folder / "runs" / "dogs" / "report.html").is_file()
    assert "What changed most" in shown(cells[-1])
