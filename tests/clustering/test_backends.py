"""Which backend computes, why another one does not, and the GPU's arithmetic on numpy beside scikit-learn's."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from auto_interventions.clustering import KMeansPartition, kmeans
from auto_interventions.clustering.backends import chosen, cuda, detecting, engine_of
from auto_interventions.clustering.backends.cpu import CpuEngine
from auto_interventions.clustering.backends.detecting import too_old, why_no_cuml
from auto_interventions.clustering.backends.device import Blocks, block_rows, stays
from auto_interventions.config import AuditConfig
from auto_interventions.errors import ClusteringError
from auto_interventions.stages.checking import check_files
from tests.clustering.host_device import HostDevice, HostEngine
from tests.clustering.worlds import blobs


@pytest.mark.skipif(why_no_cuml() is None, reason="cuML computes here")
def test_without_a_gpu_auto_is_sklearn_and_cuml_says_what_is_missing() -> None:
    assert chosen("auto") == chosen("sklearn") == "sklearn"
    with pytest.raises(ClusteringError) as told:
        chosen("cuml")
    assert f"`clustering.backend: cuml` cannot be used here: {why_no_cuml()}." in str(told.value)
    assert "auto-interventions[gpu]" in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.skipif(why_no_cuml() is None and find_spec("umap") is not None, reason="both are here")
def test_an_audit_that_wants_what_is_not_there_begins_with_nothing(tmp_path: Path) -> None:
    """Not even the store is opened, and the prompts, which are missing too, are not looked at."""
    asked = {"umap": "auto-interventions[umap]"} if find_spec("umap") is None and why_no_cuml() else {}
    asked |= {"cuml": "auto-interventions[gpu]"} if why_no_cuml() else {}
    for name, extra in asked.items():
        clustering = {"map": "umap"} if name == "umap" else {"backend": "cuml"}
        config = AuditConfig.model_validate(
            {
                "name": "none",
                "base": {"model": "nowhere"},
                "intervention": {"model": "nowhere"},
                "prompts": {"path": str(tmp_path / "missing.txt")},
                "store": str(tmp_path / "store"),
                "clustering": clustering,
            }
        )
        with pytest.raises(ClusteringError, match=re.escape(extra)):
            check_files(config, tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_package_without_a_gpu_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """`import cuml` succeeds on such a machine."""
    monkeypatch.setattr(detecting, "find_spec", lambda name: object())
    monkeypatch.setattr(detecting, "_DRIVER", "libcuda-that-is-not-there.so.1")
    assert detecting.why_no_cuml.__wrapped__() == "there is no NVIDIA driver (libcuda-that-is-not-there.so.1)"
    monkeypatch.setattr(detecting, "find_spec", lambda name: None if name == "cuml" else object())
    assert detecting.why_no_cuml.__wrapped__() == "`cuml` is not installed"


def test_driver_and_gpu_must_be_new_enough() -> None:
    assert too_old(13, 13, (9, 0)) is None
    assert too_old(12, 13, (7, 0)) is None
    assert too_old(None, 12, (8, 0)) is None
    assert "gpu-cu12" in str(too_old(13, 12, (9, 0)))
    assert too_old(13, 13, (7, 0)) == "the GPU is too old for it (compute capability 7.0, it needs 7.5)"


def test_choosing_imports_neither_backend() -> None:
    """A run that is taken from the store asks which backend it would be."""
    import subprocess

    code = "import sys; from auto_interventions.clustering.backends import chosen; chosen('auto'); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert not {"torch", "cupy", "cuml", "sklearn.cluster"} & set(loaded)


def test_an_engine_is_made_once() -> None:
    assert engine_of("sklearn") is engine_of("sklearn")
    assert isinstance(engine_of("sklearn"), CpuEngine)


def test_blocks_hold_no_more_numbers_than_allowed() -> None:
    for clusters, dimension in ((2, 384), (1_000, 384), (10_000, 384), (3, 2)):
        rows = block_rows(clusters, dimension)
        assert rows * max(clusters, dimension) <= 32_000_000
        assert (rows + 1) * max(clusters, dimension) > 32_000_000
    assert block_rows(50_000_000, 4) == 1


def test_vectors_that_fit_are_sent_once_and_others_at_each_pass() -> None:
    assert stays(1_000, 10, 80_000)
    assert not stays(1_001, 10, 80_000)
    vectors = np.arange(70, dtype=np.float32).reshape(7, 10)
    for free, passes in ((560, 1), (559, 3)):
        device = HostDevice(free)
        with device.at_work():
            blocks = Blocks(device, vectors, 4, numbers=30)
            for _ in range(3):
                assert [rows.stop - rows.start for rows, _ in blocks] == [3, 3, 1]
                np.testing.assert_array_equal(np.concatenate([block for _, block in blocks]), vectors)
        assert device.sent == 70 * (1 if passes == 1 else 6)


def test_free_memory_changes_no_bit() -> None:
    vectors = np.random.default_rng(0).normal(size=(500, 12)).astype(np.float16)
    weights = np.random.default_rng(1).uniform(0.1, 3, 500)
    found: list[bytes] = []
    for free in (0, 2**40):
        engine = HostEngine(HostDevice(free), numbers=700)
        centroids = engine.started(vectors, 9, 3, weights, 20, starts=2)
        found.append(engine.mini_batches(centroids, np.full(9, 5.0), vectors, weights, [256, 0], 256).tobytes())
    assert found[0] == found[1]


def test_distances_are_scikit_learns_engine_s() -> None:
    random = np.random.default_rng(0)
    vectors, centroids = random.normal(size=(203, 7)).astype(np.float32), random.normal(size=(11, 7)).astype(np.float32)
    starts = np.array([0, 4, 9])
    ours, theirs = HostEngine(HostDevice(), numbers=100), CpuEngine()
    for one, other in (
        (ours.nearest(vectors, centroids), theirs.nearest(vectors, centroids)),
        (ours.two_nearest(vectors, centroids), theirs.two_nearest(vectors, centroids)),
        (ours.two_nearest_groups(vectors, centroids, starts), theirs.two_nearest_groups(vectors, centroids, starts)),
    ):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_allclose(a, b, atol=2e-5)
    tie = np.float32([[1, 0], [0, 1]])
    assert ours.nearest(np.float32([[1, 1]]), tie)[0].tolist() == [0], "ties go to the lower number"


def test_mini_batches_are_the_same_running_means() -> None:
    random = np.random.default_rng(0)
    vectors, weights = random.normal(size=(900, 8)).astype(np.float32), random.uniform(0.1, 4, 900)
    centroids, mass = vectors[:6].copy(), np.array([0.0, 3, 50, 7, 1, 1])
    arguments = (centroids, mass, vectors, weights, [600, 0, 300], 300)
    np.testing.assert_allclose(
        HostEngine(HostDevice(), numbers=500).mini_batches(*arguments), CpuEngine().mini_batches(*arguments), atol=1e-4
    )


def test_lloyd_ends_where_scikit_learns_does() -> None:
    random = np.random.default_rng(0)
    vectors, weights = random.normal(size=(800, 6)).astype(np.float32), random.uniform(0.1, 4, 800)
    start = vectors[:12].copy()
    ours, theirs = HostEngine(HostDevice(), numbers=900).lloyd(start, vectors, weights, 6), CpuEngine().lloyd(start, vectors, weights, 6)
    np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_a_centroid_that_draws_nothing_moves_to_a_far_vector() -> None:
    vectors, labels = blobs(3, 40)
    lost = np.concatenate([[vectors[labels == 0].mean(axis=0), vectors[labels == 1].mean(axis=0)], np.full((1, 32), 9.0)]).astype(
        np.float32
    )
    found = KMeansPartition.at(HostEngine(HostDevice()).lloyd(lost, vectors, np.ones(120), 50))
    assert np.bincount(found.assign(vectors)).tolist() == [40, 40, 40]
    alike = np.ones((5, 2), np.float32)
    kept = HostEngine(HostDevice()).lloyd(np.float32([[1, 1], [7, 7]]), alike, np.ones(5), 5)
    np.testing.assert_array_equal(kept, [[1, 1], [7, 7]])


def test_the_clusters_are_as_good_as_scikit_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(1)
    centres = random.normal(size=(60, 16))
    vectors = (centres[random.integers(0, 60, 3_000)] + random.normal(scale=0.7, size=(3_000, 16))).astype(np.float32)
    module, engine = sys.modules[kmeans.__module__], HostEngine(HostDevice(), numbers=20_000)
    theirs = kmeans(vectors, 40, seed=0).inertia(vectors)
    monkeypatch.setattr(module, "chosen", lambda asked: "cuml")
    monkeypatch.setattr(module, "engine_of", lambda name: engine if name == "cuml" else CpuEngine())
    ours = kmeans(vectors, 40, seed=0)
    assert ours.backend == "cuml"
    assert ours.inertia(vectors) < 1.02 * theirs


def _parameters(source: str, name: str) -> set[str]:
    """Of the constructor of class `name` in a Python or Cython file."""
    body = source[source.index(f"class {name}(") :]
    found = re.search(r"def __init__\((.*?)\):", body, re.S)
    assert found is not None
    return set(re.findall(r"^\s+(\w+)\s*=", found[1], re.M))


@pytest.mark.skipif(find_spec("cuml") is None, reason="reads the files of cuML, which is not installed")
def test_cuml_has_what_is_called() -> None:
    """Without a GPU too: its files are read, not run."""
    spec = find_spec("cuml")
    assert spec is not None
    assert spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0])
    calls = [node for node in ast.walk(ast.parse(inspect.getsource(cuda))) if isinstance(node, ast.Call)]
    (call,) = [node for node in calls if isinstance(node.func, ast.Name) and node.func.id == "HDBSCAN"]
    asked = {str(keyword.arg) for keyword in call.keywords}
    source = (folder / "cluster/hdbscan/hdbscan.pyx").read_text(encoding="utf-8")
    assert asked <= _parameters(source, "HDBSCAN")
    assert "excluding the point itself" in " ".join(source.split()), "why `min_samples` is one less"


@pytest.mark.skipif(find_spec("cupy") is None, reason="reads the files of cupy, which is not installed")
def test_cupy_has_what_is_called() -> None:
    spec = find_spec("cupy")
    assert spec is not None
    assert spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0])
    text = (folder / "__init__.py").read_text(encoding="utf-8")
    for name in ("arange", "asnumpy", "empty", "equal", "maximum", "stack", "zeros", "get_default_memory_pool"):
        assert re.search(rf"\b{name}\b", text), name
    assert "def empty_pinned(shape, dtype" in (folder.parent / "cupyx/_pinned_array.py").read_text(encoding="utf-8")
