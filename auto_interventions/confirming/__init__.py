"""Confirmation on untouched prompts: plan, bets, e-BH over all hypotheses, findings with effects."""

from auto_interventions.confirming.conclude import Conclusion, capped_exp, conclude
from auto_interventions.confirming.plan import next_requests, plan_confirmation
from auto_interventions.confirming.state import ConfirmState, confirm_round, log_e_overall, validated, why_stop_confirming

__all__ = [
    "Conclusion",
    "ConfirmState",
    "capped_exp",
    "conclude",
    "confirm_round",
    "log_e_overall",
    "next_requests",
    "plan_confirmation",
    "validated",
    "why_stop_confirming",
]
