"""When exploring ends, and why, in words for the report. Bets stay valid under any such rule (Ville's inequality holds at every stopping
time)."""

from __future__ import annotations

from collections.abc import Callable

from auto_interventions.config import AuditConfig
from auto_interventions.exploring.allocation import pairs_wanted
from auto_interventions.exploring.divergence import retired
from auto_interventions.exploring.state import RoundState
from auto_interventions.inference.ebh import gate_is_open

SETTLED_ROUNDS = 3  # the set of divergent strata must stay the same over this many rounds
STABLE = 0.8  # adjusted Rand index between the partitions of two rounds


def why_stop(state: RoundState, config: AuditConfig, exhausted: bool = False, named: Callable[[], bool] | None = None) -> str | None:
    """Why exploring should end now, as a clause for the report; None to go on.

    Args:
        exhausted: the allocation has no prompt left to ask.
        named: whether some sentence describes the difference well enough to be confirmed; asked only where the evidence is settled, for
            then it is too early to stop before there is one. None: not asked.
    """
    if config.sampling.strategy == "exhaustive" and state.round:
        return f"all {state.texts} texts of exploring were drawn at once, as `strategy: exhaustive` asks"
    if _settled(state, config.inference.alpha) and (named is None or named()):
        divergent = state.kinds_among(state.history[-1].divergent)
        kinds = f"the same {divergent} of {state.tree.roots} kinds of prompts" if divergent else "no kind of prompts more than another"
        return f"the evidence is settled: the models differ, and {kinds} stood out for {SETTLED_ROUNDS} rounds"
    if state.round and _nothing_left(state, config) and (named is None or not state.history[-1].divergent or named()):
        return (
            f"nothing is left to find: each of {state.tree.roots} kinds of prompts either stood out or was looked at long enough to say "
            f"that no difference of {100 * config.inference.smallest_effect:g} points shows in it"
        )
    if state.round >= config.sampling.rounds:
        return f"all {config.sampling.rounds} rounds are done"
    if pairs_wanted(state, config) == 0:
        return f"the share of max_texts for exploring is spent ({state.texts} texts)"
    if exhausted:
        return f"no prompt has unused texts left ({state.texts} texts)"
    return None


def _settled(state: RoundState, alpha: float) -> bool:
    recent = state.history[-SETTLED_ROUNDS:]
    if len(recent) < SETTLED_ROUNDS or not gate_is_open(state.log_e_overall, alpha):
        return False
    same = all(evidence.divergent == recent[-1].divergent for evidence in recent)
    stability = recent[-1].cluster_stability
    return same and not stability < STABLE  # NaN, not measured, does not hold it up


def _nothing_left(state: RoundState, config: AuditConfig) -> bool:
    """Every smallest stratum was looked at often enough (`divergence.retired`), and is decided (itself or one that holds it) or retired."""
    decided = set(state.divergent(config.inference.alpha))
    quiet = retired(state, config)
    leaves = [stratum for stratum, split in enumerate(state.tree.is_split.tolist()) if not split]
    looked = state.payoffs_by_stratum[:, 0] >= 3 / config.inference.smallest_effect
    return all(quiet[leaf] or (looked[leaf] and decided & _lineage(state, leaf)) for leaf in leaves)


def _lineage(state: RoundState, stratum: int) -> set[int]:
    held = set[int]()
    while stratum >= 0:
        held.add(stratum)
        stratum = int(state.tree.parents[stratum])
    return held
