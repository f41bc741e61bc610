"""One statistic a file: formula, citation, doctest, edge cases. Pure functions of numpy arrays; nothing here knows a text or a model."""

from auto_interventions.inference.betting import Wealth, bet_grouped, bet_many, betting_grid, log_e_values, start_log_wealth
from auto_interventions.inference.detectable import smallest_detectable
from auto_interventions.inference.ebh import e_bh, explored_log_e, gate_is_open, log_capital, log_mean_exp, overall_log_e
from auto_interventions.inference.effects import Effect, estimate_effect
from auto_interventions.inference.intervals import confidence_sequence, e_by_level

__all__ = [
    "Effect",
    "Wealth",
    "bet_grouped",
    "bet_many",
    "betting_grid",
    "confidence_sequence",
    "e_bh",
    "e_by_level",
    "estimate_effect",
    "explored_log_e",
    "gate_is_open",
    "log_capital",
    "log_e_values",
    "log_mean_exp",
    "overall_log_e",
    "smallest_detectable",
    "start_log_wealth",
]
