"""The planted benchmark: its worlds are what they claim, its scores mean what they say, and one small cell runs through the real stages."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from auto_interventions.fingerprint import generator
from auto_interventions.planting.corpus import topics
from benchmarks.planted.audits import PoolJudge, run_audit
from benchmarks.planted.bound import mark_rates, oracle_texts, world_bound
from benchmarks.planted.grid import Task, Where, climb
from benchmarks.planted.informed import informed_texts
from benchmarks.planted.kept import bring_back, keep, read
from benchmarks.planted.peers import log_odds, run_peer
from benchmarks.planted.plants import KINDS, REWRITES
from benchmarks.planted.pool import Pool, story_texts, with_versions
from benchmarks.planted.price import exploring_texts
from benchmarks.planted.records import Records
from benchmarks.planted.scoring import Discovery, agreement, is_false, scored, weighted_phi
from benchmarks.planted.tables import exact, headline, reached, summary, texts_table
from benchmarks.planted.world import Cell, SimulatedSubject, World


@pytest.fixture(scope="module")
def pool() -> Pool:
    """A small pool with random vectors: what is tested here never needs meaning."""
    texts, topic, versions = with_versions(*story_texts(480))
    openings = tuple(tuple(f"Opening {number} of the {name}." for number in range(60)) for name in topics())
    random = generator("test pool")

    def vectors(count: int) -> np.ndarray:
        drawn = random.standard_normal((count, 16)).astype(np.float32)
        return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)

    return Pool(tuple(texts), vectors(len(texts)), np.array(topic), 480, versions, openings, vectors(8 * 60))


def drawn(world: World, samples: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    numbers = np.repeat(np.arange(len(world.prompts)), samples)
    counts = np.tile(np.arange(samples), len(world.prompts))
    base, intervention = (SimulatedSubject(world, role).drawn(numbers, counts) for role in ("base", "intervention"))
    return numbers, base, intervention


@pytest.mark.parametrize("kind", KINDS)
def test_the_drawn_rates_are_the_exact_ones(kind: str, pool: Pool) -> None:
    world = World(Cell(kind, 0.2, 0.5, 8), 1, pool, prompts=80)
    numbers, base, intervention = drawn(world, 200)
    here = world.affected[numbers]
    expected = mark_rates(world)
    assert expected[1] - expected[0] > 0.17
    for rows, rate in zip((base, intervention), expected, strict=True):
        assert abs(world.mark[rows[here]].mean() - rate) < 0.02
    assert abs(world.mark[intervention[~here]].mean() - world.mark[base[~here]].mean()) < 0.02


def test_words_stay_the_same_where_only_layout_or_order_is_planted(pool: Pool) -> None:
    for kind in ("format", "order"):
        rows = np.flatnonzero(pool.versions[kind] >= 0)
        assert len(rows) > 100
        for row in rows.tolist():
            planted = pool.texts[int(pool.versions[kind][row])]
            assert sorted(planted.split()) == sorted(pool.texts[row].split())
            assert planted != pool.texts[row]


def test_a_planted_version_stays_in_its_topic_and_is_new(pool: Pool) -> None:
    assert len(set(pool.texts)) == len(pool.texts)
    for rows in pool.versions.values():
        kept = np.flatnonzero(rows >= 0)
        assert (pool.topic[rows[kept]] == pool.topic[kept]).all()
    assert set(pool.versions) == set(REWRITES)


def test_prevalence_takes_whole_strata_or_alike_prompts_of_one(pool: Pool) -> None:
    whole = World(Cell("word", 0.2, 0.25, 8), 3, pool, prompts=80)
    assert whole.affected.reshape(8, 10).all(axis=1).sum() == 2
    assert whole.affected.sum() == 20
    part = World(Cell("word", 0.2, 0.05, 8), 3, pool, prompts=80)
    strata = {prompt.stratum for prompt, yes in zip(part.prompts, part.affected, strict=True) if yes}
    assert len(strata) == 1
    assert part.affected.sum() == 4


def test_the_same_request_gives_the_same_text_in_any_order(pool: Pool) -> None:
    world = World(Cell("phrase", 0.3, 1.0, 8), 5, pool, prompts=80)
    numbers, _, rows = drawn(world, 130)  # beyond one block of samples
    order = generator("order").permutation(len(rows))
    again = SimulatedSubject(world, "intervention").drawn(numbers[order], np.tile(np.arange(130), 80)[order])
    assert (again == rows[order]).all()


def test_scores(pool: Pool) -> None:
    world = World(Cell("word", 0.1, 1.0, 8), 1, pool, prompts=80)
    holds = np.array(["velvet" in text for text in pool.texts])
    says, opposite = Discovery("velvet", holds, 1), Discovery("no velvet", ~holds, -1)
    wrong_way, other = Discovery("velvet", holds, -1), Discovery("the", np.array([" the " in text for text in pool.texts]), 1)
    assert agreement(world, says) == pytest.approx(1.0)
    assert agreement(world, opposite) == pytest.approx(1.0)
    assert agreement(world, wrong_way) == pytest.approx(-1.0)
    # A comma is neither added nor taken away by the word; a word more is.
    commas = Discovery("comma", np.array(["," in text for text in pool.texts]), 1)
    longer = Discovery("long", np.array([len(text.split()) > 24 for text in pool.texts]), 1)
    assert is_false(world, commas)
    assert not is_false(world, longer)
    result = scored(world, [says, commas])
    assert (result.discoveries, result.false, result.recovered, result.false_names) == (2, 1, True, ("comma",))
    assert not scored(world, [wrong_way, other]).recovered
    null = World(Cell("word", 0.0, 1.0, 8), 1, pool, prompts=80)
    assert scored(null, [says]).false == 1
    assert not scored(null, [says]).recovered


def test_weighted_phi_is_the_correlation() -> None:
    random = generator("phi")
    one, other = random.random(400) < 0.3, random.random(400) < 0.6
    assert weighted_phi(one, other, np.full(400, 1 / 400)) == pytest.approx(np.corrcoef(one, other)[0, 1])
    assert weighted_phi(one, np.ones(400, dtype=bool), np.full(400, 1 / 400)) == 0


def test_the_oracle_is_a_lower_bound_that_simulation_reaches(pool: Pool) -> None:
    world = World(Cell("meaning", 0.4, 1.0, 8), 1, pool, prompts=80)
    base, intervention = mark_rates(world)
    gain, loss = intervention * (1 - base), base * (1 - intervention)
    stake = (gain - loss) / (gain + loss)
    steps = generator("oracle").choice([np.log1p(stake), np.log1p(-stake), 0.0], p=[gain, loss, 1 - gain - loss], size=(4_000, 300))
    needed = 2 * ((np.cumsum(steps, axis=1) >= math.log(20)).argmax(axis=1) + 1)
    # Wald leaves out the overshoot over the bar, which is less than one step.
    expected = world_bound(world)
    assert expected < needed.mean() < expected * (math.log(20) + math.log1p(stake)) / math.log(20)
    assert oracle_texts(0.0, 0.1) > oracle_texts(0.0, 0.4)
    assert oracle_texts(0.2, 0.2) == math.inf


@pytest.mark.parametrize("strategy", ["active", "exhaustive"])
def test_an_audit_finds_a_plain_plant_and_nothing_in_the_null(strategy: str, pool: Pool) -> None:
    judge = PoolJudge(pool)
    outcome = run_audit(World(Cell("word", 0.5, 1.0, 8), 1, pool, prompts=160), strategy, 600, judge)
    assert outcome.scored.recovered
    assert 0 < outcome.explored + outcome.confirmed <= 600
    assert outcome.proposed is None
    null = run_audit(World(Cell("word", 0.0, 1.0, 8), 1, pool, prompts=160), strategy, 400, judge)
    assert null.scored.discoveries == 0


def test_skipping_an_exhaustive_audits_clusters_changes_nothing(pool: Pool) -> None:
    """What the benchmark leaves out of an exhaustive audit decides nothing: the same sentences with the stages put back."""
    judge, world = PoolJudge(pool), World(Cell("length", 0.3, 1.0, 8), 2, pool, prompts=160)
    assert run_audit(world, "exhaustive", 600, judge).scored == run_audit(world, "exhaustive", 600, judge, every_stage=True).scored


def test_log_odds_finds_words_but_no_layout(pool: Pool) -> None:
    found = {kind: run_peer("logodds", World(Cell(kind, 0.4, 1.0, 8), 1, pool, prompts=160), 2_000)[0] for kind in ("word", "format")}
    assert found["word"].recovered
    assert found["format"].discoveries == 0


def test_a_climb_is_recorded_and_goes_on(tmp_path: Path, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.planted.grid._pool", lambda folder: (pool, PoolJudge(pool)))
    monkeypatch.setattr("benchmarks.planted.world.PROMPTS", 160)
    where = Where(tmp_path / "rows.jsonl")
    task = Task(Cell("word", 0.5, 1.0, 8), "exhaustive", (20, 500), 2)
    assert climb(task, where) == 500
    before = where.out.read_bytes()
    where.out.write_bytes(before + b'{"cut')  # a kill in the middle of a line
    assert climb(task, where) == 500
    records = Records(where.out)
    assert len(records.rows) == len({(row["budget"], row["seed"]) for row in records.rows})
    assert reached({500: [row for row in records.rows if row["budget"] == 500]}, seeds=2) is not None


def test_kept_audits_print_the_same_table_and_are_not_run_again(tmp_path: Path) -> None:
    cell = {"kind": "word", "effect": 0.4, "prevalence": 0.1, "strata": 100}
    row = {**cell, "texts": 250, "oracle": 21.6, "scored": {"recovered": True, "discoveries": 2, "false": 0, "best": 1.0}}
    rows = [{**row, "strategy": strategy, "budget": 250, "seed": seed} for strategy in ("active", "exhaustive") for seed in (1, 0)]
    rows.append({**rows[0], "effect": 0.0})  # null audits and peers are not kept
    path = tmp_path / "measured.csv"
    assert keep(rows, "abc", path) == keep([], "def", path) == 4
    printed = texts_table(summary(read(path), "active", seeds=2))
    assert printed == texts_table(summary([{**one, "state": "abc"} for one in rows[:4]], "active", seeds=2))
    assert printed.endswith("| 250 | 800.0x | 1.0x | 22 | abc |")
    records = Records(tmp_path / "go-on.jsonl")
    bring_back("abc", records, path)
    assert climb(Task(Cell("word", 0.4, 0.1, 100), "active", (250,), 2), Where(records.path)) == 250  # no pool was loaded
    assert keep(records.rows, "def", path) == 4
    assert {one["state"] for one in read(path)} == {"abc"}
    with pytest.raises(ValueError, match="keeps no audit of the state 'def'"):
        bring_back("def", records, path)


def test_a_step_holds_one_state_and_exhaustive_audits_may_be_of_several(tmp_path: Path) -> None:
    cell = {"kind": "word", "effect": 0.4, "prevalence": 0.1, "strata": 100, "oracle": 21.6}
    found = {"recovered": True, "discoveries": 1, "false": 0}
    path = tmp_path / "measured.csv"

    def rows(strategy: str, budget: int, *seeds: int) -> list[dict[str, object]]:
        return [{**cell, "strategy": strategy, "budget": budget, "texts": budget, "seed": seed, "scored": found} for seed in seeds]

    def states() -> list[str]:
        return [line.state for line in summary(read(path), "active", seeds=2)]

    keep([*rows("active", 1000, 0, 1), *rows("exhaustive", 2200, 0, 1)], "26", path)
    assert states() == ["26"]
    assert keep(rows("active", 600, 0), "28", path) == 3, "the older active ones are gone, exhaustive's stay"
    assert states() == ["28"]
    records = Records(tmp_path / "go-on.jsonl")
    bring_back("28", records, path)
    assert sorted(row["strategy"] for row in records.rows) == ["active", "exhaustive", "exhaustive"]
    keep(rows("active", 600, 0, 1), "27", path)
    assert states() == [""], "of this state exhaustive audits are not known to be the same"


def test_a_size_that_missed_is_a_bound_of_what_is_saved() -> None:
    def rows(strategy: str, kind: str, budget: int, recovered: int, of: int = 4) -> list[dict[str, object]]:
        cell = {"kind": kind, "effect": 0.2, "prevalence": 0.1, "strata": 100, "strategy": strategy, "budget": budget}
        return [{**cell, "seed": seed, "texts": budget, "oracle": 40.0, "scored": {"recovered": seed < recovered}} for seed in range(of)]

    found = [
        *rows("active", "word", 1000, 4), *rows("exhaustive", "word", 2000, 4),  # both: 2x
        *rows("active", "format", 1000, 4), *rows("exhaustive", "format", 5000, 3), *rows("exhaustive", "format", 9000, 2, of=2),  # > 5x
        *rows("active", "order", 9000, 3), *rows("exhaustive", "order", 2000, 4),  # only exhaustive: 0
        *rows("active", "meaning", 9000, 3), *rows("exhaustive", "meaning", 9000, 3),  # neither
    ]  # fmt: skip
    lines = {line.cell.kind: line for line in summary(found, "active", seeds=4)}
    assert {kind: line.at_least for kind, line in lines.items()} == {"word": 2, "format": 5, "order": 0, "meaning": None}
    assert lines["format"].exhaustive_failed == 5000, "a step that is not finished has not missed"
    assert "median at least 2.00x (3 cells)" in headline(list(lines.values()), seeds=4)


def test_exact_intervals() -> None:
    low, high = exact(0, 100)
    assert low == 0
    assert high == pytest.approx(1 - 0.025 ** (1 / 100))


def test_the_price_of_not_knowing_is_at_least_the_oracles_and_falls_with_the_effect() -> None:
    prices = [exploring_texts(0.05, 0.05 + rise, 10, 100) for rise in (0.6, 0.3, 0.15)]
    assert prices == sorted(prices)
    assert all(price > oracle_texts(0.05, 0.05 + rise) for price, rise in zip(prices, (0.6, 0.3, 0.15), strict=True))
    assert exploring_texts(0.0, 0.3, 2, 100) > 2 * exploring_texts(0.0, 0.3, 10, 100)
    assert exploring_texts(0.3, 0.3, 1, 10) == math.inf


def test_an_informed_bettor_needs_more_than_the_oracle_and_less_where_more_is_changed() -> None:
    needed = [informed_texts(0.05, 0.05 + rise, 5, 50) for rise in (0.6, 0.3, 0.15)]
    assert needed == sorted(needed)
    assert all(texts > oracle_texts(0.05, 0.05 + rise) for texts, rise in zip(needed, (0.6, 0.3, 0.15), strict=True))
    assert informed_texts(0.05, 0.2, 50, 50) < needed[2]
    assert informed_texts(0.05, 0.35, 5, 50, recall=0.5) <= needed[1]
    assert informed_texts(0.3, 0.3, 1, 10) == math.inf


def test_log_odds_are_antisymmetric_and_shrink_rare_words() -> None:
    gained, lost = np.array([50.0, 2.0, 10.0]), np.array([10.0, 0.0, 10.0])
    forth, back = log_odds(gained, 100, lost, 100, prior=5), log_odds(lost, 100, gained, 100, prior=5)
    assert forth == pytest.approx(-back)
    assert forth[0] > 4 > 2 > forth[1] > 0
    assert forth[2] == pytest.approx(0)


def test_log_odds_of_the_null_are_standard_normal_at_most() -> None:
    rng = np.random.default_rng(1)
    z = log_odds(rng.binomial(200, 0.1, 4000).astype(float), 200, rng.binomial(200, 0.1, 4000).astype(float), 200, prior=10)
    assert np.mean(np.abs(z) > 1.96) < 0.06
