"""Confirmation on untouched prompts: plan, bets, e-BH over all hypotheses, findings with effects."""

from auto_interventions.confirming.conclude import Conclusion, capped_exp, conclude
from auto_interventions.confirming.focus import focus_of, shares_of
from auto_interventions.confirming.outlook import outlook
from auto_interventions.confirming.plan import ConfirmPlan, ConfirmRound, next_round, plan_confirmation
from auto_interventions.confirming.state import ConfirmState, confirm_round, log_e_overall, payoff_sums, validated, why_stop_confirming

__all__ = [
    "Conclusion",
    "ConfirmPlan",
    "ConfirmRound",
    "ConfirmState",
    "capped_exp",
    "conclude",
    "confirm_round",
    "focus_of",
    "log_e_overall",
    "next_round",
    "outlook",
    "payoff_sums",
    "plan_confirmation",
    "shares_of",
    "validated",
    "why_stop_confirming",
]
