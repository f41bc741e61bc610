from __future__ import annotations

import numpy as np
import pytest

from auto_interventions.clustering import cluster_shares


def test_paired_texts_give_plain_shares() -> None:
    prompts = list("abcd")
    shares = cluster_shares(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 2]), prompts, prompts, 4)
    assert shares.base_texts.tolist() == [2, 2, 0, 0]
    assert shares.intervention_texts.tolist() == [1, 2, 1, 0]
    assert shares.base_share.tolist() == [0.5, 0.5, 0, 0]
    assert shares.difference.tolist() == [-0.25, 0, 0.25, 0]
    # Differences of cluster 0 by prompt: 0, −1, 0, 0.
    assert shares.standard_error[0] == pytest.approx(np.std([0, -1, 0, 0], ddof=1) / 2)
    assert shares.standard_error[3] == 0


def test_the_prompt_is_the_unit_however_many_texts_it_has() -> None:
    labels = np.array([0] * 98 + [1, 1])
    prompts = ["often"] * 98 + ["rare", "rare"]
    shares = cluster_shares(labels, np.array([0, 0]), prompts, ["often", "rare"], 2)
    assert shares.base_share.tolist() == pytest.approx([0.5, 0.5])
    assert shares.difference.tolist() == pytest.approx([0.5, -0.5])


def test_prompts_of_one_side_and_texts_without_a_label_do_not_count() -> None:
    shares = cluster_shares(np.array([0, 1, -1]), np.array([1, 1, 0]), ["a", "b", "a"], ["a", "z", "z"], 2)
    assert shares.base_share.tolist() == [1, 0]
    assert shares.intervention_share.tolist() == [0, 1]
    assert np.isnan(shares.standard_error).all()  # one prompt says nothing about its neighbours
    assert shares.base_texts.tolist() == [1, 1]


def test_standard_error_is_the_spread_over_repeated_draws() -> None:
    random = np.random.default_rng(0)
    differences, errors = [], []
    for _ in range(300):
        rates = random.beta(1, 3, size=60)  # prompts differ, and each gives three texts to each model
        prompts = np.repeat(np.arange(60), 3).astype(str).tolist()
        base, intervention = (random.random(180) < np.repeat(rates, 3) for _ in range(2))
        shares = cluster_shares(base.astype(np.int64), intervention.astype(np.int64), prompts, prompts, 2)
        differences.append(shares.difference[1])
        errors.append(shares.standard_error[1])
    assert np.mean(errors) == pytest.approx(np.std(differences), rel=0.12)
    assert np.mean(np.abs(differences) > 1.96 * np.array(errors)) < 0.09


def test_nothing_in_common_and_nothing_at_all() -> None:
    apart = cluster_shares(np.array([0]), np.array([1]), ["a"], ["b"], 2)
    assert apart.base_texts.tolist() == [1, 0]
    assert apart.difference.tolist() == [0, 0]
    nothing = np.empty(0, np.int64)
    assert cluster_shares(nothing, nothing, [], [], 2).base_share.tolist() == [0, 0]


def test_what_does_not_fit_is_told() -> None:
    with pytest.raises(ValueError, match="2 labels but 1 prompts"):
        cluster_shares(np.array([0, 1]), np.array([0]), ["a"], ["a"], 2)
    with pytest.raises(ValueError, match="label 2 does not fit 2 clusters"):
        cluster_shares(np.array([2]), np.array([0]), ["a"], ["a"], 2)
