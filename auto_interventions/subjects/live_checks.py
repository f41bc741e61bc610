"""What can be known about a live model before its weights are loaded: whether all is there and fits, and its number format."""

from __future__ import annotations

from typing import cast

from auto_interventions.config import SubjectConfig
from auto_interventions.records import Role
from auto_interventions.subject_config import Quantization
from auto_interventions.subjects.chat import Codec
from auto_interventions.subjects.sources import (
    CODE,
    GIVEN,
    SMALL_FILES,
    Trust,
    check_adapter_files,
    check_model_files,
    folder_of,
    hub_folder,
    local_folder,
)


def format_on(config: SubjectConfig, role: Role, device: str) -> Quantization | None:
    """The number format of a live model on `device`, where its configuration gives none; None: the one that its checkpoint is quantized to.

    Raises:
        SubjectError: the model is not there.
    """
    from auto_interventions.subjects.loading import dtype_name

    trust = Trust.of(config)
    form = dtype_name(folder_of(str(config.model), config.revision, f"{role}.model", trust), None, device, trust)
    return None if form == GIVEN else cast(Quantization, form)


def check_live(config: SubjectConfig, role: Role, free: bool = False) -> None:
    """Everything that can be known about a live model without its weights. Of a hub model only the small files are fetched.

    Args:
        free: whether it is to write texts from nothing (`prompts.source: free`).

    Raises:
        SubjectError: what is missing or does not fit.
    """
    from auto_interventions.subjects.loading import check_adapter, check_form, empty_model, load_tokenizer, model_facts

    field, trust = f"{role}.model", Trust.of(config)
    folder = local_folder(str(config.model), config.revision, field)
    if folder is not None:
        check_model_files(folder, field, trust)
    else:
        folder = hub_folder(str(config.model), config.revision, field, SMALL_FILES + CODE if trust.code else SMALL_FILES)
    facts = model_facts(folder, field, trust)
    codec = Codec(load_tokenizer(folder, field, trust), config, role, facts.stop_ids)
    codec.check()
    if free:
        codec.check_free()
    check_form(folder, config.quantization, field, trust)
    if config.adapter is not None:
        adapter = folder_of(config.adapter, None, f"{role}.adapter", trust)
        check_adapter_files(adapter, f"{role}.adapter", trust)
        check_adapter(empty_model(folder, field, trust), adapter, f"{role}.adapter", trust)
    if config.steering:
        from auto_interventions.subjects.steering import check_steering

        check_steering(folder, config.steering, field, trust)
    if config.reasoning is not None:
        from auto_interventions.subjects.reasoning import Reasoner

        Reasoner(codec, config, role, 1)
