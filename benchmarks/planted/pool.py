"""The texts of the planted worlds: stories of eight topics and their planted versions, each embedded once by the real encoder.

Drawing a text is then looking up a row. Rows 0 … n − 1 are stories as they are; each kind that rewrites adds the rewritten version of
every story that it can rewrite. Half of the stories of each topic have a sentence that begins with a quotation mark (the grammar's own
share is 35%), so that the kind `order` has room for an effect of 40 points.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import platformdirs

from auto_interventions.config import EmbeddingConfig
from auto_interventions.embedding import open_encoder
from auto_interventions.fingerprint import fingerprint
from auto_interventions.planting.corpus import prompt_bank, stories, topics
from auto_interventions.records import BoolArray, FloatMatrix, IntArray
from benchmarks.planted.plants import REWRITES, has_speech, is_sad

STORIES = 6_000
PROMPTS_A_TOPIC = 800
_SEED = 7
_BLOCK = 1_000
_MATE = 8 * 37  # the story so many places on, of the same topic, lends the sentences that kind `length` adds


@dataclass(frozen=True, eq=False)
class Pool:
    """All texts of all worlds.

    Attributes:
        texts: N distinct texts.
        vectors: (N, d) their embeddings.
        topic: (N,) number of each text's topic.
        base: how many are stories as they are; they come first.
        versions: kind → (base,) row of each story's planted version; −1 where the kind cannot rewrite it.
        prompts: openings by topic.
        prompt_vectors: (topics × `PROMPTS_A_TOPIC`, d) their embeddings, in order.
    """

    texts: tuple[str, ...]
    vectors: FloatMatrix
    topic: IntArray
    base: int
    versions: dict[str, IntArray]
    prompts: tuple[tuple[str, ...], ...]
    prompt_vectors: FloatMatrix

    @cached_property
    def row_of(self) -> dict[str, int]:
        """Row by text."""
        return {text: row for row, text in enumerate(self.texts)}

    @cached_property
    def vector_of(self) -> dict[str, int]:
        """Row in `vectors`, then `prompt_vectors`, by text."""
        openings = [text for texts in self.prompts for text in texts]
        return {text: row for row, text in enumerate((*self.texts, *openings))}

    @cached_property
    def all_vectors(self) -> FloatMatrix:
        """`vectors`, then `prompt_vectors`."""
        return np.concatenate([self.vectors, self.prompt_vectors])

    @cached_property
    def tokens(self) -> IntArray:
        """(N,) words of each text."""
        return np.array([len(text.split()) for text in self.texts], dtype=np.int64)

    @cached_property
    def sad(self) -> BoolArray:
        """(N,) whether the story's hero ends up sad: the mark of the kind `meaning`."""
        return np.array([is_sad(text) for text in self.texts])


def cache_folder() -> Path:
    """Where embeddings are kept between runs, unless `--cache` says otherwise."""
    return Path(platformdirs.user_cache_dir("auto-interventions")) / "planted"


def load_pool(folder: Path | None = None, size: int = STORIES, prompts: int = PROMPTS_A_TOPIC) -> Pool:
    """The pool of `size` stories; embeds what is not in `folder` yet (ten minutes for the whole, once)."""
    every, labels, versions = with_versions(*story_texts(size))
    openings = tuple(tuple(prompt.text for prompt in prompt_bank(prompts, 11, name)) for name in topics())
    asked = [text for some in openings for text in some]
    vectors = _embedded([*every, *asked], folder or cache_folder())
    return Pool(tuple(every), vectors[: len(every)], np.array(labels, dtype=np.int64), size, versions, openings, vectors[len(every) :])


def story_texts(size: int) -> tuple[list[str], list[int]]:
    """`size` distinct stories, topics in turn, every second one of a topic with a sentence that begins with a quotation mark."""
    names = topics()
    wanted = {(topic, speech): size // len(names) // 2 for topic in range(len(names)) for speech in (False, True)}
    kept: dict[tuple[int, bool], list[str]] = {key: [] for key in wanted}
    seen: set[str] = set()
    for story in stories(4 * size, _SEED):
        key = names.index(story.topic), has_speech(story.continuation)
        if len(kept[key]) < wanted[key] and story.continuation not in seen:
            seen.add(story.continuation)
            kept[key].append(story.continuation)
    texts: list[str] = []
    topic: list[int] = []
    for place in range(size // len(names)):
        for number in range(len(names)):
            texts.append(kept[number, place % 2 == 1][place // 2])
            topic.append(number)
    return texts, topic


def with_versions(texts: list[str], topic: list[int]) -> tuple[list[str], list[int], dict[str, IntArray]]:
    """Stories and their planted versions, the topics of both, and each kind's row of the version of each story."""
    size = len(texts)
    every, labels = list(texts), list(topic)
    known = {text: row for row, text in enumerate(every)}
    versions: dict[str, IntArray] = {}
    for kind, rewrite in REWRITES.items():
        rows = np.full(size, -1, dtype=np.int64)
        for row, text in enumerate(texts):
            planted = rewrite(text, texts[(row + _MATE) % size])
            if planted is None or planted in known:
                continue
            rows[row] = known[planted] = len(every)
            every.append(planted)
            labels.append(topic[row])
        versions[kind] = rows
    return every, labels, versions


def _embedded(texts: list[str], folder: Path) -> FloatMatrix:
    """Vectors of `texts`, in blocks that are each kept under the fingerprint of encoder and texts."""
    folder.mkdir(parents=True, exist_ok=True)
    encoder = open_encoder(EmbeddingConfig())
    parts: list[FloatMatrix] = []
    for start in range(0, len(texts), _BLOCK):
        block = texts[start : start + _BLOCK]
        path = folder / f"{fingerprint(encoder.fingerprint, block)[:24]}.npy"
        if not path.exists():
            sys.stderr.write(f"\rembedding the pool: {start:,} of {len(texts):,} texts")
            temporary = path.with_suffix(".tmp.npy")
            np.save(temporary, encoder.encode(block))
            temporary.rename(path)
        parts.append(np.load(path))
    return np.concatenate(parts)
