"""The loop: rounds of pairs, bets on a discriminator, allocation and stopping. Pure functions; `RoundState` is folded over rounds."""

from auto_interventions.exploring.active import Active, allocation_of
from auto_interventions.exploring.allocation import Allocation, Uniform, exploring_pairs_left, pairs_wanted
from auto_interventions.exploring.boundary import Boundary
from auto_interventions.exploring.discriminator import Discriminator
from auto_interventions.exploring.divergence import Divergence, expected_growth
from auto_interventions.exploring.features import text_features
from auto_interventions.exploring.splitting import split_mixed
from auto_interventions.exploring.state import RoundBatch, RoundState, run_round
from auto_interventions.exploring.stopping import why_stop
from auto_interventions.exploring.strata import Strata
from auto_interventions.exploring.suspicion import suspected

__all__ = [
    "Active",
    "Allocation",
    "Boundary",
    "Discriminator",
    "Divergence",
    "RoundBatch",
    "RoundState",
    "Strata",
    "Uniform",
    "allocation_of",
    "expected_growth",
    "exploring_pairs_left",
    "pairs_wanted",
    "run_round",
    "split_mixed",
    "suspected",
    "text_features",
    "why_stop",
]
