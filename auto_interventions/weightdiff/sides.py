"""One side of the comparison: the tensors of a model's safetensors files, read a block of rows at a time, and its LoRA adapter.

Nothing is loaded as a model. Files are opened for one block and closed again, so that what is mapped into memory stays small. Values come
as float32, after a rounding to bf16 or fp16 where the audit runs the model in that format.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np

from auto_interventions.config import SubjectConfig
from auto_interventions.records import FloatMatrix, Role
from auto_interventions.subjects.sources import folder_of, read_json
from auto_interventions.weightdiff.factors import Adapter, Factors
from auto_interventions.weightdiff.incomparable import Incomparable, weights_of
from auto_interventions.weightdiff.names import is_buffer, matched
from auto_interventions.weightdiff.tensors import Place, places_in, rows_of

BLOCK_NUMBERS = 1 << 22  # numbers of one side in memory at a time: 16 MB
_CASTS = {None: None, "fp32": None, "fp16": "fp16", "bf16": "bf16"}


class Side:
    """The weights of one side of an audit. `role` names the field in errors."""

    def __init__(self, config: SubjectConfig, role: Role) -> None:
        """Reads headers only.

        Raises:
            Incomparable: these weights cannot be read as they are used (an API, quantized, pickles, an unknown kind of adapter).
            SubjectError: files are missing or damaged.
        """
        self.role: Role = role
        model = weights_of(config, role)
        if config.quantization not in _CASTS:
            raise Incomparable(
                f"the {role} is quantized as it is loaded ({config.quantization}), so its weights are not those of its files"
            )
        self.folder = folder_of(model, config.revision, f"{role}.model").resolve()
        self.cast = _CASTS[config.quantization]
        self.settings = read_json(self.folder / "config.json", f"{role}.model")
        if self.settings.get("quantization_config"):
            raise Incomparable(f"the {role}'s files in {self.folder} are quantized, so they hold no plain matrices")
        self._own = {name: place for name, place in places_in(self.folder, f"{role}.model").items() if not is_buffer(name)}
        self.adapter_folder = folder_of(config.adapter, None, f"{role}.adapter").resolve() if config.adapter else None
        self.adapter = Adapter(self.adapter_folder, f"{role}.adapter") if self.adapter_folder else None
        self._place_adapter()

    def _place_adapter(self) -> None:
        """Finds the model's own name of everything that the adapter changes."""
        self.factors: dict[str, Factors] = {}
        self._whole: dict[str, Place] = {}
        self.homeless: dict[str, str] = {}
        if self.adapter is None:
            return
        for module, factors in self.adapter.factors.items():
            name = matched(f"{module}.weight", self._own)
            if name is None:
                self.homeless[module] = f"the {self.role}'s adapter changes it, but the model's files do not hold it"
            else:
                self.factors[name] = factors
        for tensor, place in self.adapter.whole.items():
            name = matched(tensor, self._own)
            if name is None:
                self.homeless[tensor] = f"the {self.role}'s adapter holds it, but the model's files do not (tied or new weights)"
            else:
                self._whole[name] = place

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every tensor, by the name in the model's files."""
        return {name: (self._whole.get(name) or place).shape for name, place in self._own.items()}

    @property
    def architecture(self) -> str:
        """The model type that its config.json names."""
        return str(self.settings.get("model_type") or "unknown")

    def reads_same(self, other: Side, name: str, others_name: str) -> bool:
        """Whether both sides take this tensor, but for low-rank factors, from the same file in the same format."""
        one, two = self._source(name), other._source(others_name)
        return one.path == two.path and one.name == two.name and self.cast == other.cast

    def blocks(self, name: str) -> Iterator[tuple[int, FloatMatrix]]:
        """A tensor as a matrix (rows, columns), without low-rank factors: first row and values of each block."""
        place = self._source(name)
        rows, columns = as_matrix(place.shape)
        step = max(1, BLOCK_NUMBERS // columns)
        for start in range(0, rows, step):
            yield start, rows_of(place, start, min(rows, start + step), self.cast).reshape(-1, columns)

    def _source(self, name: str) -> Place:
        return self._whole.get(name) or self._own[name]


def as_matrix(shape: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns under which a tensor is looked at: a vector is one column, further dimensions lie side by side.

    >>> as_matrix((8, 4)), as_matrix((8,)), as_matrix((8, 4, 3)), as_matrix(())
    ((8, 4), (8, 1), (8, 12), (1, 1))
    """
    return (shape[0], int(np.prod(shape[1:], dtype=np.int64))) if shape else (1, 1)
