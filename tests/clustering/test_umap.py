from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from auto_interventions.clustering.backends import chosen
from auto_interventions.clustering.umap import check_umap, umap_places
from auto_interventions.errors import ClusteringError
from tests.clustering.worlds import blobs

HERE = chosen("auto")
needs_umap = pytest.mark.skipif(HERE == "sklearn" and find_spec("umap") is None, reason="neither umap-learn nor cuML is here")


@pytest.mark.skipif(find_spec("umap") is not None, reason="umap-learn is installed")
def test_without_the_package_the_extra_is_named() -> None:
    with pytest.raises(ClusteringError, match=r"auto-interventions\[umap\]"):
        check_umap("sklearn")
    check_umap("cuml")


@needs_umap
def test_neighbours_lie_together_sampled_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auto_interventions.clustering.umap._SAMPLE", 200)
    vectors, labels = blobs(4, 90)
    places = umap_places(vectors, 0, HERE)
    assert places is not None
    assert places.shape == (360, 2)
    means = np.stack([places[labels == label].mean(axis=0) for label in range(4)])
    nearest = ((places[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    assert (nearest == labels).mean() > 0.98


@needs_umap
def test_the_same_twice() -> None:
    vectors, _ = blobs(4, 30)
    np.testing.assert_array_equal(umap_places(vectors, 3, HERE), umap_places(vectors, 3, HERE))


@needs_umap
def test_few_or_equal_texts_have_no_such_map() -> None:
    assert umap_places(np.ones((500, 4), np.float32), 0, HERE) is None
    assert umap_places(blobs(2, 10)[0], 0, HERE) is None
