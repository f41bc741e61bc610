"""One audit's judging: as published runs do it, and as this library does it, through its own rooms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from auto_interventions.config import AuditConfig
from auto_interventions.confirming import ConfirmState, judge_round, next_round, payoff_sums, plan_confirmation, standing, validated
from auto_interventions.confirming import why_stop_confirming as why_stop
from auto_interventions.exploring import RoundState
from auto_interventions.fingerprint import generator
from auto_interventions.hypotheses.evidence import Design
from auto_interventions.inference import Wealth
from auto_interventions.inference.classical import rank_p_values, sign_p_values
from auto_interventions.inference.fixed import benjamini_hochberg
from auto_interventions.judging import Judged, Judges, PredicateJudge
from auto_interventions.records import BoolArray, FloatArray, Hypothesis, Pair
from auto_interventions.subjects.base import Request
from benchmarks.judging.models import CHEAP, PRICES, STRONG, Simulated, Skill
from benchmarks.judging.world import World

ALPHA = 0.05
PUBLISHED_PAIRS = 100  # 200 texts a sentence


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an arm found in one world and what it took.

    Attributes:
        found: H; sign_found: by the sign test (published arms).
        looks: whether anything false was validated at any look.
        calls, given, written: of cheap and strong: calls, tokens in, tokens out.
        tried: H pairs judged; difference, low, high: H estimates with 95% intervals, at the false coverage rate where validated.
        slope: what the better judge makes of a true difference of 1.
        true: H true differences.
    """

    arm: str
    seed: int
    cap: int
    found: list[bool]
    true: list[float]
    calls: tuple[int, int]
    given: tuple[int, int]
    written: tuple[int, int]
    tried: list[int]
    slope: float
    sign_found: list[bool] | None = None
    difference: list[float] | None = None
    low: list[float] | None = None
    high: list[float] | None = None
    looks: bool = False
    stood: list[str] | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON-native."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Arm:
    """Which judges there are, and whether they judge as published runs do."""

    cheap: Skill | None
    strong: Skill | None
    published: bool = False


ARMS = {
    "a published, strong": Arm(None, STRONG, published=True),
    "a2 published, cheap": Arm(CHEAP, None, published=True),
    "b cheap alone": Arm(CHEAP, None),
    "c cascade": Arm(CHEAP, STRONG),
    "d strong alone": Arm(None, STRONG),
}


def settings(arm: Arm, cap: int, seed: int, **judge: Any) -> AuditConfig:
    """The library's defaults, but for the judges' names and `max_pairs`; published arms score one text a call."""
    cheap, strong = PRICES[0]
    told: dict[str, Any] = {"cheap": cheap, "strong": strong if arm.cheap and arm.strong else None, "max_pairs": cap}
    if arm.published:
        told |= {"mode": "graded", "pairs_per_call": 1}
    given = {"name": "judging", "base": {"model": "m"}, "intervention": {"model": "m"}, "prompts": {"path": "p"}}
    return AuditConfig.model_validate({**given, "sampling": {"max_texts": 1_000_000, "seed": seed}, "judge": told | judge})


def run(name: str, world: World, cap: int, **judge: Any) -> Outcome:
    """The arm `name` in `world`."""
    arm = ARMS[name]
    return audit(name, arm, world, settings(arm, cap, world.seed, **judge))


def audit(name: str, arm: Arm, world: World, config: AuditConfig) -> Outcome:
    """Judges are opened anew: nothing is cached from other arms."""
    specs = PRICES[0]
    judges = [
        None if skill is None else Simulated(specs[place], skill, world.fits, config.judge, world.seed)
        for place, skill in enumerate((arm.cheap, arm.strong))
    ]
    only = [one for one in judges if one is not None]
    found = _published(only[0], world, config) if arm.published else _sequential(only, world, config)
    counts = [(0, 0, 0) if one is None else (one.counts.calls, one.counts.input_tokens, one.counts.output_tokens) for one in judges]
    calls, given, written = zip(*counts, strict=True)
    common = {"arm": name, "seed": world.seed, "cap": config.judge.max_pairs, "true": world.true_difference.tolist()}
    return Outcome(**common, calls=calls, given=given, written=written, slope=only[-1].skill.slope, **found)


def _published(judge: Simulated, world: World, config: AuditConfig) -> dict[str, Any]:
    """All sentences on the same texts, one at a time; fixed-n tests with Benjamini & Hochberg."""
    plan = plan_confirmation(world.confirm, 0, len(world.hypotheses), config, checks=0)
    pairs = world.pairs([replace(request, samples=1) for request in plan.backbone[:PUBLISHED_PAIRS]])
    every = np.ones((len(world.hypotheses), len(pairs)), dtype=np.bool_)
    base, intervention = judge.judge.score(
        [one.statement for one in world.hypotheses],
        [pair.base.text for pair in pairs],
        [pair.intervention.text for pair in pairs],
        [pair.prompt.id for pair in pairs],
        every,
    )
    ranks = benjamini_hochberg(rank_p_values(base, intervention), ALPHA)
    signs = benjamini_hochberg(sign_p_values(intervention - base), ALPHA)
    return {"found": ranks.tolist(), "sign_found": signs.tolist(), "tried": [len(pairs)] * len(world.hypotheses)}


def _sequential(judges: Sequence[Simulated], world: World, config: AuditConfig) -> dict[str, Any]:
    """Trial on explored pairs, then confirming in rounds, as the stages do it (`stages.labelling`, `stages.confirming`)."""
    strong = judges[1].judge if len(judges) > 1 else None
    both = Judges(PredicateJudge(), judges[0].judge, strong, config.judge, world.seed)
    past = certain(world)
    tried, explored, trial = _tried(both, world, config)
    plan = plan_confirmation(world.confirm, 0, len(tried), config, checks=0)
    state = ConfirmState.start(tried, len(plan.backbone), world.strata, explored, least_chance=config.judge.slice if strong else 1.0)
    price = both.cost_per_pair(tried, trial)
    null = ~(np.abs(world.true_difference) > 0)
    looks: list[bool] = []

    def judge(pairs: Sequence[Pair], cells: BoolArray, slices: FloatArray) -> Judged:
        return both.judge(tried, pairs, cells, slices=slices)

    def folded(after: ConfirmState) -> None:
        looks.append(bool((validated(after, past, ALPHA) & null).any()))

    while True:
        round = next_round(plan, state, past, config)
        if why_stop(state, past, config, exhausted=not round.requests):
            break
        state = judge_round(state, past, config, world.pairs(round.requests), round.backbone_pairs, price, judge, folded, sizing=True)
    return _told(state, past, config) | {"looks": any(looks)}


def _tried(both: Judges, world: World, config: AuditConfig) -> tuple[tuple[Hypothesis, ...], FloatArray, list[Pair]]:
    """The sentences with what a few explored pairs show of them, the sums of those payoffs, and the pairs."""
    chosen = generator("judging trial", world.seed).permutation(len(world.explore))[: config.judge.screen_pairs].tolist()
    pairs = world.pairs([Request(world.explore[place], 0, 1) for place in chosen])
    judged = both.judge(world.hypotheses, pairs, second=False)
    known = ~np.isnan(judged.base + judged.intervention)
    marks = np.concatenate([np.where(known, judged.base, 0.0), np.where(known, judged.intervention, 0.0)], axis=1).astype(np.float64)
    design = Design([pair.prompt.id for pair in pairs], [pair.prompt.stratum for pair in pairs])
    evidence = design.evidence(csr_matrix(marks.T))
    tried = tuple(
        replace(one, evidence=round(float(growth), 3), more_in="intervention" if way > 0 else "base")
        for one, growth, way in zip(world.hypotheses, evidence.growth, evidence.direction, strict=True)
    )
    payoffs = (judged.intervention - judged.base).astype(np.float64)
    return tried, payoff_sums(payoffs, [pair.prompt.stratum for pair in pairs], list(world.strata)), pairs


def _told(state: ConfirmState, past: RoundState, config: AuditConfig) -> dict[str, Any]:
    passed = validated(state, past, ALPHA)
    effects = [state.effect(row, ALPHA, int(passed.sum()) if one else None) for row, one in enumerate(passed.tolist())]
    return {
        "found": passed.tolist(),
        "tried": state.tried.tolist(),
        "difference": [one.difference for one in effects],
        "low": [one.interval[0] for one in effects],
        "high": [one.interval[1] for one in effects],
        "stood": list(standing(state, past, config)),
    }


def certain(world: World) -> RoundState:
    """Exploring that left no doubt that the models differ: the gate is open, so that sentences stand for themselves."""
    return replace(RoundState.start(tuple(world.strata)), overall=Wealth(np.full((1, 6), 20.0)))
