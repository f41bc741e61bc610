"""Where the files of a model or adapter are, what they are (sha256), and whether they can be used: before anything is loaded.

Only the headers of weight files are read here. Hub models are looked for in the local cache first by the hub's own client.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from auto_interventions.errors import SubjectError
from auto_interventions.fingerprint import fingerprint, unchanged_file_fingerprint

MODEL_FILES = ("*.safetensors", "*.json", "*.model", "*.txt", "*.jinja")
SMALL_FILES = MODEL_FILES[1:]
ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"


def local_folder(name: str, revision: str | None, field: str) -> Path | None:
    """The folder that `name` means; None where it is a hub id.

    Raises:
        SubjectError: a path that is no folder, or a revision given for a folder.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        if revision is not None:
            raise SubjectError(f"{field}: {path} is a folder, so `revision: {revision}` cannot apply; remove it, or give a hub id")
        return path
    if path.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
        kind = "is a file, not a folder" if path.exists() else "is not there"
        raise SubjectError(f"{field}: {path} {kind}; give the folder that holds the files, or a hub id")
    return None


def hub_folder(name: str, revision: str | None, field: str, files: tuple[str, ...] = MODEL_FILES) -> Path:
    """The local snapshot of a hub repository's `files`, downloaded where it is not cached.

    Raises:
        SubjectError: not in the cache and not reachable, or no such repository.
    """
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(files), ignore_patterns=["*/*", "consolidated*"]))
    except Exception as error:  # network, names, permissions: the hub's client raises many kinds
        at = f" at revision {revision}" if revision else ""
        reason = str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
        raise SubjectError(
            f"{field}: {name}{at} is neither a folder here nor to be had from the hub ({reason}); check the name, "
            f"or, on a machine without network, download it elsewhere and give its folder"
        ) from error


def folder_of(name: str, revision: str | None, field: str) -> Path:
    """The folder of a model or adapter, downloaded where it is a hub id that is not cached.

    Raises:
        SubjectError: it is not there.
    """
    return local_folder(name, revision, field) or hub_folder(name, revision, field)


def folder_fingerprint(folder: Path) -> str:
    """sha256 over the names and contents of every file that transformers could read."""
    files = sorted({path for pattern in MODEL_FILES for path in folder.glob(pattern) if path.is_file()})
    return fingerprint("files", [[path.name, unchanged_file_fingerprint(path)] for path in files])


def read_json(path: Path, field: str) -> dict[str, Any]:
    """The JSON object in `path`.

    Raises:
        SubjectError: missing or malformed.
    """
    try:
        value: object = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SubjectError(f"{field}: {path.parent} holds no {path.name}; give a folder in Hugging Face format") from None
    except (OSError, ValueError) as error:
        raise SubjectError(f"{field}: {path} cannot be read as JSON ({error}); save or download it again") from error
    if not isinstance(value, dict):
        raise SubjectError(f"{field}: {path} holds no JSON object; save or download it again")
    return value


def check_model_files(folder: Path, field: str) -> None:
    """config.json, safetensors weights and a tokenizer are there.

    Raises:
        SubjectError: names what is missing.
    """
    read_json(folder / "config.json", field)
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        shards = sorted(set(dict(read_json(index, field).get("weight_map", {})).values()))
        missing = [shard for shard in shards if not (folder / shard).is_file()]
        if missing:
            raise SubjectError(f"{field}: {folder} lacks {missing[0]}, which {index.name} names; download the model again")
    elif not (folder / "model.safetensors").is_file():
        pickled = sorted(path.name for pattern in ("*.bin", "*.pt", "*.pth") for path in folder.glob(pattern))
        if pickled:
            raise SubjectError(
                f"{field}: {folder} holds its weights only as {pickled[0]}, a pickle, which is never loaded; save them as safetensors "
                f"(`model.save_pretrained(…, safe_serialization=True)`)"
            )
        hint = "; this is an adapter: name it in `adapter` and its base in `model`" if (folder / ADAPTER_CONFIG).is_file() else ""
        raise SubjectError(f"{field}: {folder} holds no model.safetensors{hint or '; copy the weights there'}")
    if not any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer.model", "vocab.json", "spiece.model", "vocab.txt")):
        raise SubjectError(f"{field}: {folder} holds no tokenizer (tokenizer.json); copy the tokenizer's files there")


def check_adapter_files(folder: Path, field: str) -> dict[str, Any]:
    """The adapter's configuration, once its files are known to be there.

    Raises:
        SubjectError: names what is missing, or an adapter kind that this version does not know.
    """
    if not (folder / ADAPTER_CONFIG).is_file():
        hint = (
            "; it holds a whole model: name it in `model`" if (folder / "config.json").is_file() else "; give the folder of a PEFT adapter"
        )
        raise SubjectError(f"{field}: {folder} holds no {ADAPTER_CONFIG}{hint}")
    settings = read_json(folder / ADAPTER_CONFIG, field)
    if not (folder / ADAPTER_WEIGHTS).is_file():
        raise SubjectError(f"{field}: {folder} holds no {ADAPTER_WEIGHTS}; save the adapter with safetensors (pickles are never loaded)")
    kind = str(settings.get("peft_type", ""))
    if "PROMPT" in kind or "PREFIX" in kind or "P_TUNING" in kind:
        raise SubjectError(
            f"{field}: {folder} is of kind {kind}, which adds tokens instead of changing weights and is not supported; use a LoRA adapter"
        )
    return settings


def tensor_shapes(path: Path, field: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors in a safetensors file, from its header.

    Raises:
        SubjectError: not a safetensors file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), "np") as file:  # pyright: ignore[reportUnknownArgumentType]
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118  (not a mapping)
    except (SafetensorError, OSError) as error:
        raise SubjectError(f"{field}: {path} is not a readable safetensors file ({error}); save or download it again") from error
