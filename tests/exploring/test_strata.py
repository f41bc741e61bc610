"""Strata that are split while they are bet on: fresh wealth, a fixed error budget, and a family that only grows."""

from __future__ import annotations

import numpy as np
import pytest

from auto_interventions.exploring import RoundState, Strata, run_round, split_mixed
from auto_interventions.fingerprint import generator
from auto_interventions.records import FloatMatrix, Prompt

from .audits import STRATA, World, bank, config, hash_of

KIND = 30  # prompts of the stratum "large" from here on are of another kind


def kinds(prompts: list[Prompt]) -> FloatMatrix:
    """Vectors of prompts: two kinds inside each stratum, apart."""
    place = np.array([[1.0, 0.0] if int(prompt.text.split()[1]) < KIND else [0.0, 1.0] for prompt in prompts])
    jitter = np.array([[hash_of(prompt) % 97, hash_of(prompt) % 89] for prompt in prompts]) / 1000
    return (place + jitter).astype(np.float32)


def audit(name: str, shift: float, rounds: int = 8) -> list[RoundState]:
    """The models differ only at the first kind of prompts of "large"; mixed strata are split after every round."""
    state, states = RoundState.start(STRATA), []
    random = generator("test-strata", name)
    prompts = bank()
    mine = [prompt for prompt in prompts if prompt.stratum == "large" and int(prompt.text.split()[1]) < KIND]
    for number in range(rounds):
        one = World(random, shift).batch(mine, 1, first=number)
        rest = World(random, 0.0).batch([prompt for prompt in prompts if prompt not in mine], 1, first=number)
        for batch in (one, rest) if number % 2 else (rest, one):
            state = run_round(state, batch, config())
        state = split_mixed(state, prompts, lambda some: kinds(list(some)))
        states.append(state)
    return states


def test_shares_never_exceed_the_budget() -> None:
    tree = Strata.start(("a", "b", "c"))
    for number in range(30):
        leaf = int(np.flatnonzero(~tree.is_split)[-1])
        tree = tree.split(leaf, [(f"{number} one", []), (f"{number} two", [])])
    assert tree.roots == 3
    assert len(tree) == 63
    assert tree.shares.sum() <= 1 + 1e-12


def test_prompts_belong_to_their_part_and_all_that_hold_it() -> None:
    prompts = [Prompt(str(number), "a" if number < 6 else "b") for number in range(8)]
    tree = Strata.start(("a", "b")).split(0, [("a › x", prompts[:3]), ("a › rest", prompts[3:6])])
    tree = tree.split(2, [("a › x › y", prompts[:1]), ("a › x › rest", prompts[1:3])])
    assert tree.leaf_of(prompts).tolist() == [4, 5, 5, 3, 3, 3, 1, 1]
    levels = {row: [] for row in range(8)}
    for rows, strata in tree.levels(tree.leaf_of(prompts)):
        for row, stratum in zip(rows.tolist(), strata.tolist(), strict=True):
            levels[row].append(stratum)
    assert levels[0] == [4, 2, 0]
    assert levels[7] == [1]
    assert tree.leaf_of([Prompt("new", "a")]).tolist() == [0], "a prompt that came later belongs to the whole"
    with pytest.raises(ValueError, match="once"):
        tree.split(0, [("p", []), ("q", [])])
    with pytest.raises(ValueError, match="names"):
        tree.split(1, [("a", []), ("q", [])])


def test_a_mixed_stratum_is_split_where_the_models_differ() -> None:
    split = [audit(f"mixed {number}", 1.6)[-1] for number in range(12)]
    found = [state for state in split if state.tree.splits]
    assert len(found) >= 6
    state = found[0]
    part = state.strata.index(next(name for name in state.strata if name.startswith("large ›") and "rest" not in name))
    assert state.tree.parents[part] == state.strata.index("large")
    e_values = [one.log_e_strata[one.tree.roots] for one in found]
    assert np.median(e_values) > 0.5, "the part earns on its own from its birth"


def test_fresh_wealth_at_birth() -> None:
    state = audit("fresh", 1.6, rounds=2)[-1]
    prompts = [prompt for prompt in bank() if prompt.stratum == "middle"]
    after = state.split(1, [("middle › a", prompts[:10]), ("middle › b", prompts[10:])])
    np.testing.assert_allclose(after.log_e_strata[-2:], 0.0, atol=1e-12)
    np.testing.assert_allclose(after.log_e_strata[: len(state.tree)], state.log_e_strata)
    assert after.log_e_overall == pytest.approx(state.log_e_overall), "capital that was waiting is now held by the parts"
    both = after.payoffs_by_stratum[-2:].sum(axis=0)
    np.testing.assert_allclose(both, after.payoffs_by_stratum[1], err_msg="what allocation knows is handed on")


def test_splitting_keeps_the_error_rate() -> None:
    """Nothing differs; strata are split whenever they look mixed, and looked at after each round."""
    wrong = [any(state.divergent(0.05) for state in audit(f"null {number}", 0.0)) for number in range(150)]
    assert np.mean(wrong) <= 0.05 + 2.5 * np.sqrt(0.05 * 0.95 / 150)
