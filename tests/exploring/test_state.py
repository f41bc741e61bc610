from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from auto_interventions.exploring import RoundBatch, RoundState, run_round
from auto_interventions.exploring.state import _chunks
from auto_interventions.fingerprint import generator
from auto_interventions.inference import gate_is_open
from auto_interventions.records import FloatMatrix, Prompt

from .audits import DIMENSIONS, SIZES, STRATA, World, bank, config, pair

CONFIG = config()
ALPHA = CONFIG.inference.alpha


def audit(name: str, shift: float = 0.0, where: tuple[str, ...] = STRATA, rounds: int = 4, greedy: bool = True) -> list[RoundState]:
    """The states after each round. Greedy: later rounds ask the two strata that look most divergent: valid all the same."""
    world = World(generator("test-state", name), shift, where)
    state = RoundState.start(STRATA)
    states: list[RoundState] = []
    for round in range(rounds):
        best = {STRATA[number] for number in np.argsort(-state.log_e_strata)[:2]}
        prompts = [prompt for prompt in bank() if not greedy or round == 0 or prompt.stratum in best]
        state = run_round(state, world.batch(prompts, samples=2, first=2 * round), CONFIG)
        states.append(state)
    return states


def test_identical_models_are_hardly_ever_called_different() -> None:
    """300 audits of a model against itself, peeked at after every round, greedy sampling, two samples a prompt, unequal strata:
    P(verdict or any divergent stratum at any look) ≤ α, up to simulation error; and the e-values do not exceed 1 on average."""
    audits = [audit(f"null {number}") for number in range(300)]
    spoke = [any(gate_is_open(state.log_e_overall, ALPHA) or state.divergent(ALPHA) for state in states) for states in audits]
    assert np.mean(spoke) <= ALPHA + 2.5 * np.sqrt(ALPHA * (1 - ALPHA) / 300)
    final = np.array([np.exp([states[-1].log_e_overall, states[-1].overall.log_e, *states[-1].log_e_strata]) for states in audits])
    assert np.all(final.mean(axis=0) <= 1 + 4 * final.std(axis=0) / np.sqrt(300))


def test_betting_on_what_one_trained_on_would_be_caught() -> None:
    """The test above can fail: a discriminator that has seen the pairs it bets on "finds" differences between identical models."""
    wrong = 0
    for number in range(20):
        world = World(generator("test-state", "leak", number), dimensions=200)
        batch = world.batch(bank(), samples=2)
        leaked = run_round(RoundState.start(STRATA), batch, CONFIG)
        again = run_round(leaked, RoundBatch(batch.pairs, batch.differences), CONFIG)
        wrong += gate_is_open(again.log_e_overall, ALPHA)
    assert wrong > 15


def test_a_difference_everywhere_is_found_and_placed() -> None:
    found = [audit(f"shift {number}", shift=0.8, greedy=False)[-1] for number in range(10)]
    assert all(gate_is_open(state.log_e_overall, ALPHA) for state in found)
    assert np.mean([{0, 1} <= set(state.divergent(ALPHA)) for state in found]) >= 0.9
    assert np.mean([state.auc for state in found]) > 0.6


def test_a_difference_in_one_stratum_is_found_there_only() -> None:
    found = [audit(f"narrow {number}", shift=1.2, where=("middle",), greedy=False)[-1] for number in range(10)]
    assert np.mean([1 in state.divergent(ALPHA) for state in found]) >= 0.9
    assert np.mean([set(state.divergent(ALPHA)) <= {1} for state in found]) >= 0.9
    assert np.mean([state.auc_by_stratum[1] - state.auc_by_stratum[0] for state in found]) > 0.1


def test_the_first_chunk_only_trains_and_samples_of_a_prompt_stay_together() -> None:
    batch = World(generator("test-state", "chunks")).batch(bank(), samples=3)
    chunks = _chunks(batch.pairs, 0, (0, 0))
    assert sorted(np.concatenate(chunks)) == list(range(len(batch.pairs)))
    learned = 0
    for chunk in chunks:
        assert learned == 0 or len(chunk) <= learned + 2  # a prompt may be finished
        learned += len(chunk)
    owners = [{batch.pairs[row].prompt.id for row in chunk} for chunk in chunks]
    assert all(not one & other for index, one in enumerate(owners) for other in owners[index + 1 :])
    state = run_round(RoundState.start(STRATA), batch, CONFIG)
    assert state.bets_by_stratum.sum() == len(batch.pairs) - len(chunks[0])
    assert len(_chunks(batch.pairs, 1000, (0, 1))) == 1  # later rounds: everything learned before is enough


def test_a_bet_is_a_function_of_the_past() -> None:
    """Swapping the texts of the last chunk's pairs mirrors that chunk's payoffs and changes no earlier one."""
    random = generator("test-state", "past")
    batch = World(random, 1.0).batch(bank(), samples=1)
    last = _chunks(batch.pairs, 0, (0, 0))[-1]
    signs = np.ones(len(batch.pairs))
    signs[last] = -1
    swapped = csr_matrix(batch.differences.multiply(signs[:, None]))
    one, other = (
        run_round(RoundState.start(STRATA), RoundBatch(batch.pairs, differences), CONFIG) for differences in (batch.differences, swapped)
    )
    for row, drawn in enumerate(batch.pairs):
        if drawn.prompt.id in one.payoffs:
            assert other.payoffs[drawn.prompt.id][1] == pytest.approx(signs[row] * one.payoffs[drawn.prompt.id][1])
    assert one.overall.log_e != other.overall.log_e


def test_it_is_a_fold_of_frozen_states() -> None:
    world = World(generator("test-state", "fold"))
    start = RoundState.start(STRATA)
    batch = world.batch(bank(), samples=2)
    one, again = run_round(start, batch, CONFIG), run_round(start, batch, CONFIG)
    assert one.history == again.history
    np.testing.assert_array_equal(one.log_wealth_strata, again.log_wealth_strata)
    assert start.round == 0
    assert not start.drawn
    assert one.round == 1
    assert one.texts == 4 * sum(SIZES)
    assert set(one.drawn.values()) == {2}
    np.testing.assert_array_equal(one.pairs_by_stratum, 2 * np.array(SIZES))
    assert one.columns == DIMENSIONS
    assert sum(count for count, _, _ in one.payoffs.values()) == one.bets_by_stratum.sum()


def test_evidence_of_a_round_is_plain() -> None:
    state = run_round(RoundState.start(STRATA), World(generator("test-state", "plain")).batch(bank(), 1), CONFIG)
    evidence = state.history[-1]
    assert evidence.round == 1
    assert len(evidence.log_e_strata) == len(STRATA)
    json.dumps(asdict(evidence))


def test_empty_and_tiny_rounds() -> None:
    state = RoundState.start(STRATA)
    assert state.auc == 0.5
    assert state.divergent(ALPHA) == ()
    nothing = run_round(state, RoundBatch((), csr_matrix((0, DIMENSIONS))), CONFIG)
    assert nothing.round == 1
    assert nothing.log_e_overall == pytest.approx(0, abs=1e-12)
    tiny = run_round(nothing, World(generator("test-state", "tiny")).batch(bank()[:1], 1), CONFIG)
    assert tiny.log_e_overall == pytest.approx(0, abs=1e-12)
    assert tiny.bets_by_stratum.sum() == 0


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="strata"):
        RoundState.start([])
    with pytest.raises(ValueError, match="strata"):
        RoundState.start(["a", "a"])
    stranger = RoundBatch((pair(Prompt("x", "elsewhere")),), csr_matrix((1, DIMENSIONS)))
    with pytest.raises(ValueError, match="elsewhere"):
        run_round(RoundState.start(STRATA), stranger, CONFIG)
    state = run_round(RoundState.start(STRATA), World(generator("test-state", "width")).batch(bank(), 1), CONFIG)
    with pytest.raises(ValueError, match="one encoder"):
        run_round(state, RoundBatch((pair(bank()[0]),), csr_matrix((1, DIMENSIONS + 1))), CONFIG)


def unit_vectors(count: int) -> FloatMatrix:
    drawn = generator("test-state", "vectors", count).normal(size=(count, 32))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def test_texts_with_another_layout_are_told_apart() -> None:
    """From texts to evidence: the same words, a line break more in a third of them, uninformative embeddings."""
    random = generator("test-state", "layout")
    words = [f"w{number}" for number in range(50)]

    def text(break_share: float) -> str:
        first, second = (" ".join(random.choice(words, 8)) for _ in range(2))
        return f"{first}.{chr(10) if random.random() < break_share else ' '}{second}."

    pairs = [pair(prompt, sample, text(0.05), text(0.4)) for prompt in bank() for sample in range(3)]
    state = run_round(RoundState.start(STRATA), RoundBatch.of(pairs, unit_vectors(len(pairs)), unit_vectors(len(pairs))[::-1]), CONFIG)
    assert gate_is_open(state.log_e_overall, ALPHA)
