"""Loads models through transformers, once a process: both sides of an audit share one base model.

An adapter never touches the base. In fp32 up to `MERGE_LIMIT` bytes, it is merged into a copy of the base: a plain model, the fastest
to run. Beyond that, and in half precision where merging would round the adapter away, a second tree of modules is built around
the same weight tensors and the adapter's layers are hung into that tree only: no second copy of the weights, no state to switch between
two threads that use base and intervention at once (which PEFT's `disable_adapter` would need), and nothing writes to the tensors.

Safetensors only, and never code from a model's folder.
"""

from __future__ import annotations

import copy
import inspect
import math
import threading
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from weakref import WeakValueDictionary

import torch
from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig, PreTrainedModel
from transformers.utils import logging as transformers_logging

from auto_interventions.errors import SubjectError
from auto_interventions.subjects.sampling import can_pad
from auto_interventions.subjects.sources import (
    ADAPTER_WEIGHTS,
    check_adapter_files,
    check_model_files,
    folder_fingerprint,
    tensor_shapes,
)

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
MERGE_LIMIT = 2**30

# Alive as long as a subject holds them.
_loaded: WeakValueDictionary[tuple[str, ...], PreTrainedModel] = WeakValueDictionary()
_lock = threading.RLock()


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What sampling must know before the weights are there.

    `stop_ids` end a text; `context` is how many tokens fit (None: no limit known); `pads`: prompts of different lengths may share a batch.
    """

    stop_ids: tuple[int, ...]
    context: int | None
    pads: bool


def device() -> torch.device:
    """Where subjects run: CUDA, else MPS, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def dtype_name(folder: Path, quantization: str | None, kind: str | None = None) -> str:
    """fp32, fp16 or bf16: as asked; else fp32 on a CPU (half precision is slower there), the checkpoint's own elsewhere. `kind`: of the
    device that the model will be on; None: of this process's."""
    if quantization is not None:
        return quantization
    if (kind or device().type) == "cpu":
        return "fp32"
    own = getattr(_config(folder, "model"), "dtype", None)
    return next((name for name, dtype in DTYPES.items() if dtype == own), "fp32")


def load_tokenizer(folder: Path, field: str) -> Any:
    """The tokenizer in `folder`.

    Raises:
        SubjectError: there is none that loads.
    """
    try:
        with _quiet():
            return AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False)
    except Exception as error:  # whatever a tokenizer's files can be wrong in
        raise SubjectError(f"{field}: the tokenizer in {folder} cannot be loaded ({_first_line(error)}); copy its files again") from error


def load_model(folder: Path, dtype: str, field: str) -> PreTrainedModel:
    """The model in `folder`, in eval mode on `device()`; the same object as long as somebody holds it.

    Raises:
        SubjectError: files are missing, the architecture is unknown, or weights are missing in the checkpoint.
    """
    with _lock:
        key = (folder_fingerprint(folder), dtype, str(device()))
        model = _loaded.get(key)
        if model is None:
            check_model_files(folder, field)
            model = _loaded[key] = _load(folder, dtype, field)
        return model


def load_adapted(base: PreTrainedModel, folder: Path, adapter: Path, dtype: str, field: str) -> PreTrainedModel:
    """`base` (the model in `folder`) with `adapter`, as a model of its own; `base` stays as it is.

    Raises:
        SubjectError: the adapter's files are missing, or it was made for another base.
    """
    from peft import PeftModel

    with _lock:
        key = (folder_fingerprint(folder), folder_fingerprint(adapter), dtype, str(device()))
        model = _loaded.get(key)
        if model is not None:
            return model
        check_adapter(base, adapter, field)
        merge = merges(base)
        try:
            with _quiet():
                adapted: Any = PeftModel.from_pretrained(
                    copy.deepcopy(base) if merge else _same_tensors(base), str(adapter), is_trainable=False
                )
                model = cast(PreTrainedModel, adapted.merge_and_unload(safe_merge=True) if merge else adapted.get_base_model())
        except Exception as error:  # PEFT raises what it likes on what it does not know
            raise SubjectError(
                f"{field}: {adapter} cannot be put on {folder} ({_first_line(error)}); give an adapter of this model"
            ) from error
        model.eval().requires_grad_(False)
        _loaded[key] = model
        return model


def merges(base: PreTrainedModel) -> bool:
    """Whether adapters are merged into a copy of this model (else they run beside its weights)."""
    size = sum(parameter.numel() * parameter.element_size() for parameter in base.parameters())
    return size <= MERGE_LIMIT and all(parameter.dtype == torch.float32 for parameter in base.parameters())


def weight_bytes(folder: Path, adapter: Path | None, dtype: str, field: str) -> dict[str, int]:
    """Bytes that the model in `folder` takes in memory, and what `adapter` adds (a merged one: a copy of the model), by what they are of.

    Raises:
        SubjectError: the files cannot be read.
    """
    shapes = [shape for path in sorted(folder.glob("*.safetensors")) for shape in tensor_shapes(path, field).values()]
    size = sum(math.prod(shape) for shape in shapes) * DTYPES[dtype].itemsize
    parts = {f"{folder_fingerprint(folder)}/{dtype}": size}
    if adapter is not None:
        own = size if dtype == "fp32" and size <= MERGE_LIMIT else (adapter / ADAPTER_WEIGHTS).stat().st_size
        parts[f"{folder_fingerprint(adapter)} on {folder_fingerprint(folder)}/{dtype}"] = own
    return parts


def model_facts(folder: Path, field: str) -> ModelFacts:
    """Read from the configuration files alone.

    Raises:
        SubjectError: not a causal language model that transformers knows.
    """
    config = _config(folder, field)
    kind = MODEL_FOR_CAUSAL_LM_MAPPING.get(type(config), None)
    if kind is None:
        raise _not_causal(folder, field, TypeError(f"`{config.model_type}` has no causal language model"))
    if "past_key_values" not in inspect.signature(cast(type[PreTrainedModel], kind).forward).parameters:
        raise SubjectError(
            f"{field}: {folder} is a `{config.model_type}`, which has no key-value cache and is not supported; give a transformer"
        )
    try:
        generation: Any = GenerationConfig.from_pretrained(str(folder))
    except OSError:  # no generation_config.json: the model's own configuration says it
        generation = GenerationConfig.from_model_config(config)
    stop: int | list[int] | None = generation.eos_token_id
    stop_ids = [] if stop is None else [stop] if isinstance(stop, int) else list(stop)
    context: int | None = getattr(config.get_text_config(decoder=True), "max_position_embeddings", None)
    return ModelFacts(tuple(stop_ids), context, can_pad(cast(type[PreTrainedModel], kind), config))


def empty_model(folder: Path, field: str) -> PreTrainedModel:
    """The architecture without weights, for a look at its shapes.

    Raises:
        SubjectError: not a causal language model that transformers knows.
    """
    config = _config(folder, field)
    try:
        with torch.device("meta"), _quiet():
            return AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    except Exception as error:  # a configuration can be wrong in any way
        raise _not_causal(folder, field, error) from error


def check_adapter(base: PreTrainedModel, adapter: Path, field: str) -> None:
    """The adapter's tensors have places of their shape in `base` (which may be without weights).

    Raises:
        SubjectError: the adapter was made for another base.
    """
    settings = check_adapter_files(adapter, field)
    modules = dict(base.named_modules())
    for tensor, shape in tensor_shapes(adapter / ADAPTER_WEIGHTS, field).items():
        name, _, part = tensor.removeprefix("base_model.model.").partition(".lora_")
        if part[:1] not in ("A", "B") or not part.endswith("weight"):
            continue
        made_for = settings.get("base_model_name_or_path")
        other = f"{field}: {adapter} was made for another base{f' ({made_for})' if made_for else ''}: "
        fix = "; give an adapter of this model, or the model that it was trained on"
        if name not in modules:
            raise SubjectError(f"{other}the model has no `{name}`{fix}")
        weight = cast(torch.Tensor, modules[name].weight)
        # torch's Linear keeps (out, in), GPT-2's Conv1D (in, out).
        out_in = tuple(weight.shape) if isinstance(modules[name], torch.nn.Linear) else tuple(weight.shape)[::-1]
        expected, found = (out_in[1], shape[1]) if part.startswith("A") else (out_in[0], shape[0])
        if expected != found:
            raise SubjectError(
                f"{other}`{name}` has {found} {'inputs' if part.startswith('A') else 'outputs'} there and {expected} here{fix}"
            )


def _config(folder: Path, field: str) -> Any:
    try:
        with _quiet():
            return AutoConfig.from_pretrained(str(folder), trust_remote_code=False)
    except Exception as error:  # unknown architecture, code in the folder, malformed values
        raise _not_causal(folder, field, error) from error


def _not_causal(folder: Path, field: str, error: Exception) -> SubjectError:
    return SubjectError(
        f"{field}: {folder} is not a causal language model that transformers knows ({_first_line(error)}); give another model, "
        f"and mind that code from a model's folder is never run"
    )


def _load(folder: Path, dtype: str, field: str) -> PreTrainedModel:
    try:
        with _quiet():
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                str(folder), dtype=DTYPES[dtype], use_safetensors=True, trust_remote_code=False, output_loading_info=True
            )
    except Exception as error:  # transformers raises many kinds for one meaning
        raise _not_causal(folder, field, error) from error
    model, info = loaded
    missing = sorted(info["missing_keys"])
    if missing:
        raise SubjectError(
            f"{field}: the weights in {folder} lack `{missing[0]}`, so it is not a whole causal language model; give one that is"
        )
    return cast(PreTrainedModel, model.to(device()).eval().requires_grad_(False))


def _same_tensors(base: PreTrainedModel) -> PreTrainedModel:
    """A second tree of modules around the same weight tensors."""
    shared: dict[int, object] = {id(tensor): tensor for tensor in [*base.parameters(), *base.buffers()]}
    return copy.deepcopy(base, shared)


@contextmanager
def _quiet() -> Generator[None]:
    """No progress bars and no hints on stderr while transformers and PEFT load: the command line draws its own."""
    bars, level = transformers_logging.is_progress_bar_enabled(), transformers_logging.get_verbosity()
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        transformers_logging.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
