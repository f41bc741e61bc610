"""The backends that the contract is held to: scikit-learn's, the GPU's arithmetic on numpy, and cuML's where there is a GPU."""

from __future__ import annotations

import sys

import pytest

from auto_interventions.clustering import backends, hdbscan, kmeans
from auto_interventions.clustering.backends.detecting import why_no_cuml
from tests.clustering.host_device import HostDevice, HostEngine


@pytest.fixture(params=["sklearn", "device on numpy", pytest.param("cuml", marks=pytest.mark.gpu)])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A name for `start_partition(…, backend=…)`.

    "device on numpy" is asked for as cuml, with blocks so small that every test of some size has several.
    """
    if request.param == "cuml" and (reason := why_no_cuml()) is not None:
        pytest.skip(f"cuML cannot compute here: {reason}")
    if request.param == "device on numpy":
        engine = HostEngine(HostDevice(), numbers=4_000)
        real = backends.engine_of
        for made in (kmeans, hdbscan):
            module = sys.modules[made.__module__]
            monkeypatch.setattr(module, "engine_of", lambda name: engine if name == "cuml" else real(name))
            monkeypatch.setattr(module, "chosen", lambda asked: "cuml" if asked == "cuml" else backends.chosen(asked))
    return "sklearn" if request.param == "sklearn" else "cuml"
