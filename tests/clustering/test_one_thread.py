"""Inside the block every pool has one thread, those of libraries that were loaded since the last look too."""

import subprocess
import sys

LATE = """
from auto_interventions.clustering.threads import one_thread
import numpy
from threadpoolctl import threadpool_info
with one_thread():
    early = {pool["num_threads"] for pool in threadpool_info()}
before = len(threadpool_info())
with one_thread("sklearn.cluster"):
    with one_thread():
        inner = {pool["num_threads"] for pool in threadpool_info()}
    outer = {pool["num_threads"] for pool in threadpool_info()}
print(early, inner, outer, len(threadpool_info()) > before, max(pool["num_threads"] for pool in threadpool_info()))
"""


def test_pools_that_are_loaded_later_are_held_too() -> None:
    environment = {"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", LATE], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.split() == ["{1}", "{1}", "{1}", "True", "2"]
