"""How far the weights themselves moved: every matrix of the change, one at a time, from safetensors files (docs/weights.md)."""

from auto_interventions.weightdiff.changes import MatrixChange, WeightDifference
from auto_interventions.weightdiff.comparing import VERSION, measure_difference
from auto_interventions.weightdiff.incomparable import Incomparable, weights_of

__all__ = ["VERSION", "Incomparable", "MatrixChange", "WeightDifference", "measure_difference", "weights_of"]
