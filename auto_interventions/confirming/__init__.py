"""Confirmation on untouched prompts: plan, bets, e-BH over all hypotheses, findings with effects."""

from auto_interventions.confirming.conclude import Conclusion, capped_exp, conclude
from auto_interventions.confirming.evidence import log_e_overall, validated
from auto_interventions.confirming.focus import FORM_CANDIDATES, PROMISING, WORD_CANDIDATES, focus_of, shares_of
from auto_interventions.confirming.outlook import outlook
from auto_interventions.confirming.payoffs import payoff_sums
from auto_interventions.confirming.plan import ConfirmPlan, ConfirmRound, next_round, plan_confirmation
from auto_interventions.confirming.scheduling import Block, judge_round, next_block
from auto_interventions.confirming.standing import Standing, standing, why_stop_confirming
from auto_interventions.confirming.state import ConfirmState, confirm_round

__all__ = [
    "FORM_CANDIDATES",
    "PROMISING",
    "WORD_CANDIDATES",
    "Block",
    "Conclusion",
    "ConfirmPlan",
    "ConfirmRound",
    "ConfirmState",
    "Standing",
    "capped_exp",
    "conclude",
    "confirm_round",
    "focus_of",
    "judge_round",
    "log_e_overall",
    "next_block",
    "next_round",
    "outlook",
    "payoff_sums",
    "plan_confirmation",
    "shares_of",
    "standing",
    "validated",
    "why_stop_confirming",
]
