from __future__ import annotations

import numpy as np

from auto_interventions.clustering import typical_words


def test_names_each_cluster_by_its_own_words_once_a_stem() -> None:
    texts = [
        "The otter swims in the river.",
        "Two otters on the river bank",
        "otter, otter!",
        "A lighthouse stands",
        "the Lighthouse keeper's lamp",
    ]
    words = typical_words(texts, np.array([0, 0, 0, 1, 1]), 3, top=2)
    assert words == [["otter", "river"], ["lighthouse", "keeper's"], []]


def test_words_that_all_clusters_share_say_little() -> None:
    texts = ["once upon dragon"] * 6 + ["once upon castle"] * 6
    words = typical_words(texts, np.repeat([0, 1], 6), 2, top=1)
    assert words == [["dragon"], ["castle"]]


def test_one_cluster_and_other_languages() -> None:
    assert typical_words(["Straße über Straße", "Straße"], np.zeros(2, np.int64), 1, top=1) == [["straße"]]
    assert typical_words(["кот и кот", "кот"], np.zeros(2, np.int64), 1, top=1) == [["кот"]]


def test_nothing_to_name() -> None:
    assert typical_words([], np.empty(0, np.int64), 2) == [[], []]
    assert typical_words(["", "the and", "12 3"], np.array([0, 1, 0]), 2) == [[], []]
    assert typical_words(["left out"], np.array([-1]), 1) == [[]]


def test_does_not_depend_on_the_order_of_the_texts() -> None:
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice([f"word{n}" for n in range(30)], 5)) for _ in range(60)]
    labels = random.integers(0, 3, 60)
    order = random.permutation(60)
    assert typical_words(texts, labels, 3) == typical_words([texts[row] for row in order], labels[order], 3)
