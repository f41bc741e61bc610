"""Whether cuML can compute on this machine, found out in milliseconds and without importing it, cupy or torch."""

from __future__ import annotations

import ctypes
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

_DRIVER = "libcuda.so.1"
_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_…
_NO_DEVICE = 100  # CUDA_ERROR_NO_DEVICE
# CUDA of a cuML wheel → compute capability that it needs at least (Volta, Turing: docs.rapids.ai/install).
_OLDEST_GPU = {12: (7, 0), 13: (7, 5)}


@cache
def why_no_cuml() -> str | None:
    """Why cuML cannot compute here, as a clause; None: it can."""
    return _why_no_package() or _why_no_gpu(_cuda_of_package())


def _why_no_package() -> str | None:
    missing = [name for name in ("cuml", "cupy") if find_spec(name) is None]
    if not missing:
        return None
    return f"{' and '.join(f'`{name}`' for name in missing)} {'are' if len(missing) > 1 else 'is'} not installed"


def _cuda_of_package() -> int | None:
    """The CUDA that the installed cuML is made for; None where its distribution does not say (conda)."""
    for major in _OLDEST_GPU:
        try:
            version(f"cuml-cu{major}")
        except PackageNotFoundError:
            continue
        return major
    return None


def _why_no_gpu(cuda: int | None) -> str | None:
    """Asks the driver itself, as cuML will: a GPU that this process may not see is none."""
    try:
        driver = ctypes.CDLL(_DRIVER)
    except OSError:
        return f"there is no NVIDIA driver ({_DRIVER})"
    state = driver.cuInit(0)
    count = ctypes.c_int(0)
    if state not in (0, _NO_DEVICE):
        return f"the NVIDIA driver does not start (CUDA error {state})"
    if state == _NO_DEVICE or driver.cuDeviceGetCount(ctypes.byref(count)) or not count.value:
        return "the NVIDIA driver shows this process no GPU (look at `nvidia-smi` and CUDA_VISIBLE_DEVICES)"
    newest = ctypes.c_int(0)
    driver.cuDriverGetVersion(ctypes.byref(newest))
    parts = [ctypes.c_int(0), ctypes.c_int(0)]
    for value, attribute in zip(parts, (_MAJOR, _MINOR), strict=True):
        driver.cuDeviceGetAttribute(ctypes.byref(value), attribute, 0)
    return too_old(cuda, newest.value // 1000, (parts[0].value, parts[1].value))


def too_old(cuda: int | None, driver: int, capability: tuple[int, int]) -> str | None:
    """Why a driver for CUDA `driver` with a GPU of such a compute capability cannot run a cuML made for `cuda`; None: it can.

    >>> too_old(13, 12, (9, 0))
    'the NVIDIA driver is for CUDA 12, the installed cuML for CUDA 13 (`auto-interventions[gpu-cu12]` is the one for it)'
    """
    if cuda is not None and driver < cuda:
        return (
            f"the NVIDIA driver is for CUDA {driver}, the installed cuML for CUDA {cuda} "
            f"(`auto-interventions[gpu-cu{max(driver, min(_OLDEST_GPU))}]` is the one for it)"
        )
    oldest = _OLDEST_GPU[cuda or min(_OLDEST_GPU)]
    if capability < oldest:
        return f"the GPU is too old for it (compute capability {capability[0]}.{capability[1]}, it needs {oldest[0]}.{oldest[1]})"
    return None
