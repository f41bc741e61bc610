"""Active allocation: half of a round everywhere, half where the evidence can still grow fastest.

For each stratum that is not yet decided, Thompson sampling draws p, the probability that the discriminator orders a fresh pair
rightly, from its Beta posterior; a bettor who knew p would gain log 2 − H(p) nats a pair (Kelly 1956), and the second half of the
round goes to the strata in proportion to that gain. A stratum is decided once e-BH has it. Draws are seeded by (seed, round), so the
same audit asks the same prompts; validity never depends on them (Xu, Wang & Ramdas 2021).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy.special import entr

from auto_interventions.config import AuditConfig
from auto_interventions.exploring.allocation import Allocation, Uniform
from auto_interventions.exploring.state import RoundState
from auto_interventions.fingerprint import generator
from auto_interventions.records import FloatArray, IntArray, Prompt
from auto_interventions.subjects.base import Request

# The part of a round that goes everywhere: what is not looked at cannot turn out to differ.
EXPLORATION = 0.5


class Active:
    """Half uniform, half Thompson sampling on the growth of evidence over undecided strata."""

    def allocate(
        self,
        state: RoundState,
        prompts: Sequence[Prompt],
        pairs: int,
        config: AuditConfig,
        capacity: Mapping[str, int] | None = None,
    ) -> list[Request]:
        """See `Allocation.allocate`."""
        everywhere = Uniform()
        gains = expected_growth(state, config)
        if not gains.any():
            return everywhere.allocate(state, prompts, pairs, config, capacity)
        focused = int(pairs * (1 - EXPLORATION))
        requests = everywhere.allocate(state, prompts, pairs - focused, config, capacity)
        after = _with_drawn(state, requests)
        for stratum, share in enumerate(_apportion(gains, focused)):
            members = [prompt for prompt in prompts if prompt.stratum == state.strata[stratum]]
            requests += everywhere.allocate(after, members, int(share), config, capacity)
        # Strata that ran dry leave pairs over: they go everywhere.
        left = pairs - sum(request.samples for request in requests)
        requests += everywhere.allocate(_with_drawn(state, requests), prompts, left, config, capacity)
        return _merged(state, requests)


def allocation_of(config: AuditConfig) -> Allocation:
    """The rule that `sampling.strategy` names."""
    return Active() if config.sampling.strategy == "active" else Uniform()


def expected_growth(state: RoundState, config: AuditConfig) -> FloatArray:
    """(S,) nats a pair that a Thompson draw promises in each stratum; 0 where it is decided or the discriminator loses."""
    if not state.bets_by_stratum.any():
        return np.zeros(len(state.strata))
    random = generator("thompson", state.seed, state.round)
    losses = state.bets_by_stratum - state.wins_by_stratum
    right = random.beta(1 + state.wins_by_stratum, 1 + losses)
    gains = np.where(right > 0.5, np.log(2) - entr(right) - entr(1 - right), 0.0)
    gains[list(state.divergent(config.inference.alpha))] = 0.0
    return gains


def _apportion(weights: FloatArray, total: int) -> IntArray:
    """`total` split in proportion to `weights`, in whole numbers (largest remainders)."""
    exact = weights / weights.sum() * total
    shares = np.floor(exact).astype(np.int64)
    order = np.argsort(-(exact - shares), kind="stable")
    shares[order[: total - int(shares.sum())]] += 1
    return shares


def _with_drawn(state: RoundState, requests: Sequence[Request]) -> RoundState:
    drawn = dict(state.drawn)
    for request in requests:
        drawn[request.prompt.id] = drawn.get(request.prompt.id, 0) + request.samples
    return replace(state, drawn=drawn)


def _merged(state: RoundState, requests: Sequence[Request]) -> list[Request]:
    """One request a prompt, continuing its sample numbers."""
    prompts = {request.prompt.id: request.prompt for request in requests}
    counts: dict[str, int] = {}
    for request in requests:
        counts[request.prompt.id] = counts.get(request.prompt.id, 0) + request.samples
    return [Request(prompts[key], state.drawn.get(key, 0), count) for key, count in counts.items()]
