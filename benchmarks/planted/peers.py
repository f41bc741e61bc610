"""What other methods find in the same worlds from as many texts: uniform samples of both models, no second pool of prompts.

| peer | says | tested by |
| --- | --- | --- |
| c2st | only *that* the models differ: no sentence, so it never recovers a plant | accuracy of a classifier on held-out prompts |
| kmeans | a cluster of texts is more frequent | Fisher's exact test by cluster, BH |
| logodds | a word, or a phrase of up to three words, is more frequent | log-odds with a Dirichlet prior (Monroe 2008), BH |
| bertopic | a topic is more frequent | topics of BERTopic per class, Fisher, BH |
| hypothesaes | a neuron of a sparse autoencoder fires more often | Fisher, BH. A neuron stands for its sentence: naming it needs a key |

Each gives yes/no columns over the pool and a sign, and is scored as an audit is (`scoring`). They get the best of their kind that runs
without a key: given embeddings, and the phrase lengths that the plants have. A peer that is not installed is left out; all of them
come with `uv pip install -c requirements.lock -e '.[peers]'`.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from scipy.stats import binomtest, fisher_exact, norm

from auto_interventions.fingerprint import generator, seed_of
from auto_interventions.inference.fixed import benjamini_hochberg
from auto_interventions.records import BoolArray, FloatArray, IntArray
from benchmarks.planted.pool import Pool
from benchmarks.planted.scoring import Discovery, Scored, scored
from benchmarks.planted.world import SimulatedSubject, World

ALPHA = 0.05
CLUSTERS = 100
NEURONS, ACTIVE = 256, 8


@dataclass(frozen=True, slots=True)
class Sample:
    """n texts of each model, by row of the pool; `prompts` (n,) is the prompt's number, the same for both."""

    base: IntArray
    intervention: IntArray
    prompts: IntArray

    @property
    def rows(self) -> IntArray:
        """The base's, then the intervention's."""
        return np.concatenate([self.base, self.intervention])


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether the models differ, and the discoveries, of which c2st has none."""

    different: bool
    discoveries: list[Discovery]


def sample_of(world: World, texts: int) -> Sample:
    """`texts` texts of both models together, prompts in turn in a random order."""
    pairs = texts // 2
    order = generator("peers", world.seed).permutation(len(world.prompts))
    numbers = np.resize(order, pairs).astype(np.int64)
    samples = (np.arange(pairs) // len(order)).astype(np.int64)
    base, intervention = (SimulatedSubject(world, role).drawn(numbers, samples) for role in ("base", "intervention"))
    return Sample(base, intervention, numbers)


def c2st(pool: Pool, sample: Sample, seed: int) -> Answer:
    """A logistic regression on embeddings, learned on half of the prompts, tested on the other (Lopez-Paz & Oquab 2017)."""
    from sklearn.linear_model import LogisticRegression

    prompts = np.unique(sample.prompts)
    learned = np.isin(sample.prompts, generator("c2st", seed).permutation(prompts)[: len(prompts) // 2])
    both = np.concatenate([learned, learned])
    labels = np.repeat([0, 1], len(sample.base))
    vectors = pool.vectors[sample.rows]
    model = LogisticRegression(max_iter=300).fit(vectors[both], labels[both])
    right = int((model.predict(vectors[~both]) == labels[~both]).sum())
    return Answer(binomtest(right, int((~both).sum()), 0.5, alternative="greater").pvalue <= ALPHA, [])


def kmeans(pool: Pool, sample: Sample, seed: int) -> Answer:
    """k-means on all embeddings."""
    from sklearn.cluster import KMeans

    clusters = max(2, min(CLUSTERS, len(sample.rows) // 20))
    model = KMeans(clusters, n_init=1, random_state=seed).fit(pool.vectors[sample.rows])
    return _tested(_columns(model.predict(pool.vectors)), sample, "cluster")


def log_odds(gained: FloatArray, gained_of: FloatArray | float, lost: FloatArray, lost_of: FloatArray | float, prior: float) -> FloatArray:
    """z-scores of the log-odds ratio of document frequencies, with an informative Dirichlet (here: beta) prior (Monroe, Colaresi & Quinn
    2008, Fightin' Words, section 3.5.1).

    Args:
        gained: number of texts of the one group that hold the word, of `gained_of` texts.
        lost: the same of the other group, of `lost_of` texts.
        prior: weight of the prior in texts; its mean is the share in both groups together.

    >>> log_odds(np.array([30.0, 3.0]), 100, np.array([10.0, 1.0]), 100, prior=10).round(1)
    array([3.3, 0.9])
    """
    together = np.clip((gained + lost) / (gained_of + lost_of), 1e-9, 1 - 1e-9)
    yes, no = prior * together, prior * (1 - together)
    odds = np.log((gained + yes) / (gained_of - gained + no)) - np.log((lost + yes) / (lost_of - lost + no))
    variance = 1 / (gained + yes) + 1 / (gained_of - gained + no) + 1 / (lost + yes) + 1 / (lost_of - lost + no)
    return odds / np.sqrt(variance)


def logodds(pool: Pool, sample: Sample, seed: int) -> Answer:
    """Words and phrases in texts of each model."""
    del seed
    names, grams = _grams(pool)
    base, intervention = (np.asarray(grams[rows].sum(axis=0), dtype=np.float64).ravel() for rows in (sample.base, sample.intervention))
    seen = np.flatnonzero(base + intervention >= 3)
    n = len(sample.base)
    z = log_odds(intervention[seen], n, base[seen], n, prior=0.05 * n)
    passed = benjamini_hochberg(2 * norm.sf(np.abs(z)), ALPHA) if len(seen) else np.zeros(0, dtype=np.bool_)
    columns = grams.tocsc()
    found: list[Discovery] = []
    for place in np.flatnonzero(passed).tolist():
        column = int(seen[place])
        found.append(Discovery(names[column], np.asarray(columns[:, column].todense()).ravel() > 0, int(np.sign(z[place]))))
    return Answer(bool(found), found)


def bertopic(pool: Pool, sample: Sample, seed: int) -> Answer:
    """BERTopic on given embeddings, PCA to 10 dimensions in place of UMAP (deterministic, and minutes faster), its HDBSCAN."""
    from bertopic import BERTopic
    from hdbscan import HDBSCAN
    from sklearn.decomposition import PCA

    rows = sample.rows
    model = BERTopic(
        embedding_model=None,
        umap_model=PCA(10, random_state=seed),
        hdbscan_model=HDBSCAN(min_cluster_size=max(10, len(rows) // 200), prediction_data=True, core_dist_n_jobs=1),
        calculate_probabilities=False,
        verbose=False,
    )
    model.fit([pool.texts[row] for row in rows.tolist()], embeddings=pool.vectors[rows])
    topics, _ = model.transform(list(pool.texts), embeddings=pool.vectors)
    return _tested(_columns(np.array(topics)), sample, "topic")


def hypothesaes(pool: Pool, sample: Sample, seed: int) -> Answer:
    """The neurons of a sparse autoencoder trained on the sample's embeddings; its labelling step, which needs a key, is left out."""
    import torch
    from hypothesaes.quickstart import train_sae

    torch.manual_seed(seed)
    # Its settings for few texts: as many neurons as its guide says for thousands of texts.
    model = train_sae(pool.vectors[sample.rows], NEURONS, ACTIVE, n_epochs=30, show_progress=False)
    return _tested(np.asarray(model.get_activations(pool.vectors)) > 0, sample, "neuron")


PEERS: dict[str, Callable[[Pool, Sample, int], Answer]] = {
    "c2st": c2st,
    "kmeans": kmeans,
    "logodds": logodds,
    "bertopic": bertopic,
    "hypothesaes": hypothesaes,
}
"""Peers by name."""


def installed(name: str) -> bool:
    """Whether a peer's package is there."""
    return name not in ("bertopic", "hypothesaes") or importlib.util.find_spec(name) is not None


def run_peer(name: str, world: World, texts: int) -> tuple[Scored, bool, float]:
    """A peer's score on `texts` texts of a world, whether it says that the models differ, and seconds."""
    started = time.perf_counter()
    os.environ.setdefault("OPENAI_KEY_SAE", "none")  # hypothesaes wants one to be imported; nothing is asked of it
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        answer = PEERS[name](world.pool, sample_of(world, texts), seed_of(name, world.seed) % 2**31)
    return scored(world, answer.discoveries), bool(answer.different), round(time.perf_counter() - started, 2)


def _columns(labels: IntArray) -> BoolArray:
    """(N, groups) membership; −1 is no group."""
    return labels[:, None] == np.arange(int(labels.max(initial=-1)) + 1)


def _tested(columns: BoolArray, sample: Sample, noun: str) -> Answer:
    """Fisher's exact test for each column, BH over all."""
    base, intervention = columns[sample.base].sum(axis=0), columns[sample.intervention].sum(axis=0)
    n = len(sample.base)
    p = _fisher(base, intervention, n)
    passed = benjamini_hochberg(p, ALPHA) if len(p) else np.zeros(0, dtype=np.bool_)
    found = [
        Discovery(f"{noun} {group}", columns[:, group], 1 if intervention[group] > base[group] else -1)
        for group in np.flatnonzero(passed).tolist()
    ]
    return Answer(bool(found), found)


def _fisher(base: Sequence[int] | IntArray, intervention: Sequence[int] | IntArray, n: int) -> FloatArray:
    return np.array([fisher_exact([[one, n - one], [other, n - other]])[1] for one, other in zip(base, intervention, strict=True)])


@lru_cache(maxsize=1)
def _grams(pool: Pool) -> tuple[list[str], csr_matrix]:
    """Words and phrases of one to three words that at least 20 texts of the pool have, and (N, grams) 0/1."""
    from sklearn.feature_extraction.text import CountVectorizer

    vectorizer: Any = CountVectorizer(ngram_range=(1, 3), min_df=20, binary=True, token_pattern=r"(?u)\b\w+\b")
    marks = csr_matrix(vectorizer.fit_transform(pool.texts), dtype=np.int32)
    return vectorizer.get_feature_names_out().tolist(), marks
