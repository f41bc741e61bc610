from __future__ import annotations

import numpy as np
from sklearn.decomposition import PCA

from auto_interventions.clustering import Projection


def test_is_the_plane_of_principal_components() -> None:
    random = np.random.default_rng(0)
    vectors = (random.normal(size=(500, 20)) * np.arange(1, 21)).astype(np.float32)
    found = Projection.fit(vectors).coordinates(vectors)
    exact = PCA(2, svd_solver="full").fit_transform(vectors.astype(float))
    np.testing.assert_allclose(np.abs(found), np.abs(exact), rtol=1e-3, atol=1e-2)


def test_the_same_twice_and_for_any_order_of_the_texts() -> None:
    vectors = np.random.default_rng(0).normal(size=(300, 10)).astype(np.float32)
    first = Projection.fit(vectors)
    np.testing.assert_array_equal(first.axes, Projection.fit(vectors.copy()).axes)
    np.testing.assert_allclose(first.axes, Projection.fit(vectors[::-1]).axes, atol=1e-8)
    np.testing.assert_allclose(first.coordinates(vectors)[7], first.coordinates(vectors[7:8])[0], atol=1e-6)


def test_few_or_equal_texts_still_have_a_place() -> None:
    alike = np.tile(np.float32([[1, 2, 3]]), (9, 1))
    assert Projection.fit(alike).coordinates(alike).tolist() == [[0, 0]] * 9
    one = np.float32([[1, 2]])
    assert Projection.fit(one).coordinates(one).tolist() == [[0, 0]]
    flat = np.float32([[0], [1]])
    assert Projection.fit(flat).coordinates(flat).tolist() == [[-0.5, 0], [0.5, 0]]
