"""The clustering stage on simulated texts: each text is of one of a few kinds, a kind is a place in the space of vectors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from auto_interventions.clustering import kmeans, living
from auto_interventions.config import AuditConfig
from auto_interventions.records import ROLES, FloatArray, FloatMatrix, Generation, IntArray, Pair, Prompt
from auto_interventions.stages import cluster, diverge
from auto_interventions.stages.clustering import settle
from auto_interventions.stages.tables import Map, cluster_columns
from auto_interventions.stages.weights import prompt_weights, round_weights, text_weights
from auto_interventions.stages.workspace import Workspace

KINDS, DIMENSION, STRATA = 24, 24, 4
PLACES = np.random.default_rng(5).normal(size=(KINDS, DIMENSION))
# Each stratum has kinds of its own and some that all share.
LIKELY = np.array([[3.0 if kind // 6 == stratum else 0.2 for kind in range(KINDS)] for stratum in range(STRATA)])
LIKELY /= LIKELY.sum(axis=1, keepdims=True)
POOL = [Prompt(f"{stratum}: prompt {number}", str(stratum)) for stratum in range(STRATA) for number in range(500)]


def vectors_of(kinds: IntArray, random: np.random.Generator) -> FloatMatrix:
    return (PLACES[kinds] + random.normal(scale=0.35, size=(len(kinds), DIMENSION))).astype(np.float32)


def kinds_of(prompts: list[Prompt], likely: FloatArray, random: np.random.Generator) -> IntArray:
    strata = np.array([int(prompt.stratum) for prompt in prompts])
    return np.minimum((random.random((len(prompts), 1)) > np.cumsum(likely, axis=1)[strata]).sum(axis=1), KINDS - 1)


@pytest.fixture
def where(tmp_path: Path) -> Iterator[Workspace]:
    with opened(tmp_path) as workspace:
        yield workspace


def opened(folder: Path, seed: int = 0, **clustering: object) -> Workspace:
    (folder / "prompts.txt").write_text("one\ntwo\n", encoding="utf-8")
    config = AuditConfig.model_validate(
        {
            "name": "simulated",
            "base": {"model": "one"},
            "intervention": {"model": "other"},
            "prompts": {"path": str(folder / "prompts.txt")},
            "sampling": {"strategy": "uniform", "seed": seed},
            "clustering": {"clusters": 30, **clustering},
            "store": str(folder / "store"),
        }
    )
    workspace = Workspace.create(config, folder / "run")
    workspace.prompts = tuple(POOL)
    return workspace


def draw(where: Workspace, round: int, prompts: list[Prompt], changed: FloatArray = LIKELY, seed: int = 0) -> None:
    """A round of one pair a prompt, embedded."""
    random = np.random.default_rng((seed, round))
    kinds = [kinds_of(prompts, likely, random) for likely in (LIKELY, changed)]
    sample = {prompt.id: 0 for prompt in prompts}
    pairs: list[Pair] = []
    for row, prompt in enumerate(prompts):
        texts = [
            Generation(role, prompt, 10 * round + sample[prompt.id], f"kind {kinds[side][row]}", 2, True) for side, role in enumerate(ROLES)
        ]
        sample[prompt.id] += 1
        pairs.append(Pair(prompt, texts[0], texts[1], round))
    where.pairs["explore", round] = pairs
    where.vectors[round] = (vectors_of(kinds[0], random), vectors_of(kinds[1], random))


def uniform(round: int, count: int = 150) -> list[Prompt]:
    order = np.random.default_rng(7).permutation(len(POOL))
    return [POOL[index] for index in order[count * round : count * (round + 1)]]


def unequal(round: int, count: int = 200) -> list[Prompt]:
    """First everywhere alike, then nine of ten in stratum 0."""
    if round == 0:
        return uniform(0, count)
    random = np.random.default_rng(round)
    members = [prompt for prompt in POOL if prompt.stratum == "0"] if round else POOL
    others = [prompt for prompt in POOL if prompt.stratum != "0"]
    chosen = [members[index] for index in random.permutation(len(members))[: count * 9 // 10].tolist()]
    return chosen + [others[index] for index in random.permutation(len(others))[: count // 10].tolist()]


def test_clusters_keep_their_numbers_from_round_to_round(where: Workspace) -> None:
    draw(where, 0, uniform(0))
    assert cluster(where, 0) == {"clusters": 30}
    diverge(where, 0)
    first = where.partition
    assert first is not None
    assert np.isnan(where.stability)
    assert (where.cluster_quality["born"], where.cluster_quality["died"]) == (30, 0)
    held = np.concatenate(where.vectors[0])
    for round in range(1, 4):
        draw(where, round, uniform(round))
        cluster(where, round)
        diverge(where, round)
        evidence = where.explore_state().history[-1]
        assert where.cluster_quality["stability"] == where.stability == evidence.cluster_stability > 0.5
        assert (evidence.clusters, evidence.unassigned) == (30, 0.0)
        assert evidence.clusters_born == evidence.clusters_died <= 3
        assert evidence.silhouette > 0.1
    settle(where)
    assert where.partition is not None
    assert float((where.partition.assign(held) == first.assign(held)).mean()) > 0.6
    assert where.partition.mass.sum() == pytest.approx(2 * 600)


def test_a_pair_is_predicted_by_what_was_learned_before_it(where: Workspace) -> None:
    draw(where, 0, uniform(0))
    cluster(where, 0)
    half, before = where.cluster_changes, where.partition
    assert before is not None
    assert 0 < half.gains.sum() <= 75, "of the first round only the second half is predicted"
    diverge(where, 0)
    draw(where, 1, uniform(1))
    base, intervention = (before.assign(side) for side in where.vectors[1])
    cluster(where, 1)
    moved = base != intervention
    np.testing.assert_array_equal(where.cluster_changes.gains - half.gains, np.bincount(intervention[moved], minlength=30))
    np.testing.assert_array_equal(where.cluster_changes.losses - half.losses, np.bincount(base[moved], minlength=30))


def test_without_a_look_at_all_vectors_a_round_is_as_good(monkeypatch: pytest.MonkeyPatch, where: Workspace) -> None:
    monkeypatch.setattr("auto_interventions.stages.clustering.LATER_LIMIT", 0)
    monkeypatch.setattr("auto_interventions.stages.clustering.COMPARED", 100)
    for round in range(3):
        draw(where, round, uniform(round))
        cluster(where, round)
        diverge(where, round)
    assert where.partition is not None
    held = vectors_of(kinds_of(POOL, LIKELY, np.random.default_rng(9)), np.random.default_rng(8))
    once = kmeans(np.concatenate([side for one in range(3) for side in where.vectors[one]]), 30, 0)
    assert where.partition.inertia(held) < 1.05 * once.inertia(held)


def test_the_partition_is_the_uniform_populations(tmp_path: Path) -> None:
    """Drawn nine times too often in one stratum, the settled clusters are nearly as tight on uniform held-out texts as drawn evenly."""
    held = vectors_of(kinds_of(POOL, LIKELY, np.random.default_rng(9)), np.random.default_rng(8))
    tightness: dict[str, list[float]] = {"even": [], "uneven": []}
    for seed in range(2):
        for name, drawn in (("even", lambda round: uniform(round, 200)), ("uneven", unequal)):
            (tmp_path / f"{name}{seed}").mkdir()
            with opened(tmp_path / f"{name}{seed}", seed) as where:
                for round in range(4):
                    draw(where, round, drawn(round), seed=seed)
                    cluster(where, round)
                    diverge(where, round)
                settle(where)
                assert where.partition is not None
                tightness[name].append(where.partition.inertia(held))
    assert np.mean(tightness["uneven"]) < 1.05 * np.mean(tightness["even"])


def test_weights_undo_unequal_sampling_and_mined_prompts_weigh_nothing(where: Workspace) -> None:
    ones = [prompt for prompt in POOL if prompt.stratum == "1"][:40]
    twos = [prompt for prompt in POOL if prompt.stratum == "2"][:10]
    mined = Prompt(ones[0].text, "1", prefix="Once")
    draw(where, 0, [*ones, *twos, mined])
    weights = prompt_weights(where)
    assert weights[mined.id] == 0
    assert sum(weights[prompt.id] for prompt in ones) == pytest.approx(sum(weights[prompt.id] for prompt in twos))
    assert sum(weights.values()) == pytest.approx(50)
    draw(where, 1, [ones[0]] * 4)
    texts = text_weights(where)
    assert texts.mean() == pytest.approx(1)
    assert texts[0] == pytest.approx(texts[1] / 5), "five pairs of one prompt share its weight"
    assert texts[50] == 0


def test_where_nothing_weighs_anything_all_weigh_alike(where: Workspace) -> None:
    mined = [Prompt(POOL[0].text, "0", prefix=word) for word in ("Once", "Twice")]
    draw(where, 0, mined)
    assert text_weights(where).tolist() == [1, 1]
    where.prompts = (*POOL, *mined)
    assert round_weights(where, where.pairs["explore", 0]).tolist() == [1, 1]


@pytest.mark.parametrize("algorithm", ["kmeans", "hdbscan"])
def test_a_changed_cluster_is_told_and_in_which_way(tmp_path: Path, algorithm: str) -> None:
    changed = LIKELY.copy()
    changed[:, 3] += 0.25  # grows in stratum 0, where it is at home, and is new elsewhere
    changed /= changed.sum(axis=1, keepdims=True)
    with opened(tmp_path, algorithm=algorithm) as where:
        for round in range(3):
            draw(where, round, unequal(round), changed)
            cluster(where, round)
            diverge(where, round)
        settle(where)
        assert where.partition is not None
        table = cluster_columns(where, Map(where))
        grown = [row for row, change in enumerate(table["change"]) if change in ("grown", "new")]
        kinds = {where.partition.assign(vectors_of(np.array([3]), np.random.default_rng(n)))[0] for n in range(9)} - {-1}
        assert grown
        assert set(grown) <= kinds
        for row in grown:
            assert 0 < float(table["lower"][row]) <= float(table["difference"][row]) <= float(table["upper"][row])
        assert len(table["change"]) == where.partition.clusters


def test_identical_models_change_no_cluster(tmp_path: Path) -> None:
    said = 0
    for seed in range(6):
        (tmp_path / str(seed)).mkdir()
        with opened(tmp_path / str(seed), seed) as where:
            for round in range(3):
                draw(where, round, unequal(round), seed=seed)
                cluster(where, round)
                diverge(where, round)
            settle(where)
            said += any(change != "unchanged" for change in cluster_columns(where, Map(where))["change"])
    assert said <= 1


def test_hdbscan_tells_what_lies_in_no_cluster(tmp_path: Path) -> None:
    with opened(tmp_path, algorithm="hdbscan") as where:
        for round in range(2):
            draw(where, round, uniform(round, 300))
            # Texts of no kind.
            for side in where.vectors[round]:
                side[:60] = np.random.default_rng(round).normal(size=(60, DIMENSION)) * 3
            cluster(where, round)
            diverge(where, round)
        assert where.partition is not None
        assert 10 <= living(where.partition) <= 30
        assert 0.1 < where.explore_state().history[-1].unassigned < 0.7
        settle(where)
        table = cluster_columns(where, Map(where))
        assert len(table["words"]) == where.partition.clusters


def test_a_round_of_one_pair_and_all_texts_alike(where: Workspace) -> None:
    draw(where, 0, POOL[:1])
    where.vectors[0] = (np.ones((1, DIMENSION), np.float32), np.ones((1, DIMENSION), np.float32))
    assert cluster(where, 0) == {"clusters": 1}
    diverge(where, 0)
    draw(where, 1, POOL[1:2])
    where.vectors[1] = where.vectors[0]
    assert cluster(where, 1) == {"clusters": 1}
    assert where.cluster_quality["silhouette"] == 0.0
    settle(where)


def test_clusters_are_told_before_they_have_settled(where: Workspace) -> None:
    """A round that made clusters after its last bet: they have no evidence yet, and the table has a row for each."""
    draw(where, 0, uniform(0, 40))
    cluster(where, 0)
    assert where.partition is not None
    before = len(where.cluster_changes.born)
    assert before < where.partition.clusters
    table = cluster_columns(where, Map(where))
    assert len(table["change"]) == where.partition.clusters


def test_nothing_explored_settles_nothing(where: Workspace) -> None:
    settle(where)
    assert where.partition is None
