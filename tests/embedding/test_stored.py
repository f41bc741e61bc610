from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from auto_interventions.config import EmbeddingConfig
from auto_interventions.embedding import SentenceEncoder, StoredEncoder, open_encoder
from auto_interventions.embedding.encoder import Progress
from auto_interventions.errors import EncoderError
from auto_interventions.records import FloatMatrix
from auto_interventions.stores import open_store

TEXTS = ["one otter", "two otters", "one otter", "a lighthouse", "", "one otter"]


@pytest.fixture(scope="module")
def minilm() -> SentenceEncoder:
    return open_encoder(EmbeddingConfig())


class LetterCounts:
    """A small true encoder: direction of the text's letter counts; tells what it was asked, fails where it is told to."""

    dimension = 26
    fingerprint = "letters"

    def __init__(self, fail_after: int | None = None, poison: str | None = None) -> None:
        self.asked: list[str] = []
        self._fail_after = fail_after
        self._poison = poison

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> FloatMatrix:
        self.asked.extend(texts)
        if self._fail_after is not None and len(self.asked) > self._fail_after:
            raise KeyboardInterrupt
        counts = np.float32([[text.count(chr(97 + letter)) for letter in range(26)] for text in texts]).reshape(-1, 26)
        counts[[text == self._poison for text in texts]] = np.nan
        if progress:
            progress(len(texts))
        return counts / np.maximum(np.linalg.norm(counts, axis=1, keepdims=True), 1)


def words(count: int) -> list[str]:
    return ["".join(chr(97 + (row * step) % 26) for step in range(1, 3 + row % 17)) + f" {row}" for row in range(count)]


def test_a_second_run_embeds_nothing_and_gives_the_same_bits(tmp_path: Path, minilm: SentenceEncoder) -> None:
    first = StoredEncoder(minilm, open_store(str(tmp_path)))
    vectors = first.encode(TEXTS)
    assert (first.computed, first.cached) == (4, 2)
    np.testing.assert_array_equal(vectors[0], vectors[2])
    untouched = open_encoder(EmbeddingConfig())  # another process's view: nothing in memory
    second = StoredEncoder(untouched, open_store(str(tmp_path)))
    told: list[int] = []
    np.testing.assert_array_equal(second.encode(TEXTS, told.append), vectors)
    assert (second.computed, second.cached, sum(told)) == (0, 6, 6)
    assert not untouched.loaded


def test_each_missing_text_is_encoded_once_longest_first(tmp_path: Path) -> None:
    encoder = LetterCounts()
    stored = StoredEncoder(encoder, open_store(str(tmp_path)))
    told: list[int] = []
    vectors = stored.encode(["b", "abc", "b", "ab"], told.append)
    assert encoder.asked == ["abc", "ab", "b"]
    np.testing.assert_array_equal(vectors, LetterCounts().encode(["b", "abc", "b", "ab"]))
    assert sum(told) == 4
    stored.encode(["ab", "new", "b"])
    assert encoder.asked[3:] == ["new"]
    assert (stored.computed, stored.cached) == (4, 3)


def test_an_interrupt_loses_at_most_the_batch_in_flight(tmp_path: Path) -> None:
    texts = words(1_500)
    with pytest.raises(KeyboardInterrupt):
        StoredEncoder(LetterCounts(fail_after=1_100), open_store(str(tmp_path))).encode(texts)
    again = LetterCounts()
    stored = StoredEncoder(again, open_store(str(tmp_path)))
    np.testing.assert_array_equal(stored.encode(texts), LetterCounts().encode(texts))
    assert (stored.computed, stored.cached) == (1_500 - 1_024, 1_024)


def test_a_killed_process_is_taken_up_where_it_was(tmp_path: Path, minilm: SentenceEncoder) -> None:
    """Beside it: a fresh process asks no network and says nothing on the screen, whatever the environment (one cold start for both)."""
    texts = [f"text {row}: {'otters and rivers ' * (row % 3)}" for row in range(700)]
    code = """
import socket, sys, time
def refuse(*_, **__): raise AssertionError("asked the network")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from auto_interventions.config import EmbeddingConfig
from auto_interventions.embedding import StoredEncoder, open_encoder
from auto_interventions.stores import open_store
texts = [f"text {row}: {'otters and rivers ' * (row % 3)}" for row in range(700)]
done = 0
def progress(count):
    global done
    done += count
    print(count, flush=True)
    if done > 520:  # beyond the first batch of 512, before the end of the second: waits here for its end
        time.sleep(600)
StoredEncoder(open_encoder(EmbeddingConfig()), open_store(sys.argv[1])).encode(texts, progress)
"""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "TRANSFORMERS_"))}
    command = [sys.executable, "-c", code, str(tmp_path)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    done = 0
    for line in process.stdout:
        done += int(line)
        if done > 520:
            break
    os.kill(process.pid, signal.SIGKILL)
    _, said = process.communicate()
    assert done > 520, said
    assert said == ""
    resumed = StoredEncoder(minilm, open_store(str(tmp_path)))
    vectors = resumed.encode(texts)
    assert resumed.cached == 512
    assert resumed.computed == 188
    rows = list(range(0, 700, 23))
    np.testing.assert_array_equal(vectors[rows], minilm.encode([texts[row] for row in rows]))


def test_damaged_values_are_counted_computed_again_and_mended(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    whole = StoredEncoder(LetterCounts(), store)
    vectors = whole.encode(["a", "ab", "abc"])
    value = store.get_many([whole.key("ab")])[0]
    assert value is not None
    store.put_many({whole.key("ab"): value[:-1], whole.key("abc"): b"\x80\x04foreign pickle"})
    mending = StoredEncoder(LetterCounts(), store)
    np.testing.assert_array_equal(mending.encode(["a", "ab", "abc"]), vectors)
    assert (mending.computed, mending.cached, mending.damaged) == (2, 1, 2)
    mended = StoredEncoder(LetterCounts(), store)
    mended.encode(["a", "ab", "abc"])
    assert (mended.computed, mended.damaged) == (0, 0)


def test_another_encoder_shares_no_vectors(tmp_path: Path, minilm: SentenceEncoder) -> None:
    store = open_store(str(tmp_path))
    StoredEncoder(LetterCounts(), store).encode(["one"])
    other = StoredEncoder(minilm, store)
    assert other.encode(["one"]).shape == (1, 384)
    assert other.computed == 1


def test_a_vector_that_is_not_finite_names_the_text_and_keeps_the_others(tmp_path: Path) -> None:
    poison = "x" * 100
    stored = StoredEncoder(LetterCounts(poison=poison), open_store(str(tmp_path)))
    with pytest.raises(EncoderError, match=f"no finite vector for the text '{'x' * 80}…'; give another"):
        stored.encode(["good", poison])
    again = StoredEncoder(LetterCounts(), open_store(str(tmp_path)))
    again.encode(["good", poison])
    assert (again.computed, again.cached) == (1, 1)


def test_works_without_a_store_and_without_texts(tmp_path: Path) -> None:
    bare = StoredEncoder(LetterCounts(), None)
    np.testing.assert_array_equal(bare.encode(["ab", "ab"]), LetterCounts().encode(["ab", "ab"]))
    assert (bare.computed, bare.cached) == (1, 1)
    assert bare.encode([]).shape == (0, 26)
    assert StoredEncoder(LetterCounts(), open_store(str(tmp_path))).encode([]).shape == (0, 26)
