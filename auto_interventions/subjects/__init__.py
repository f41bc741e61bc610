"""Where texts come from: live models and recorded texts, behind one Protocol.

`open_subject` gives one side of an audit, `check_subject` says beforehand what is wrong with it. Nothing here imports torch until a
live model is opened.
"""

from __future__ import annotations

from auto_interventions.config import SamplingConfig, SubjectConfig
from auto_interventions.crew import Crew
from auto_interventions.errors import SubjectError
from auto_interventions.fingerprint import fingerprint
from auto_interventions.records import Role
from auto_interventions.stores import Store
from auto_interventions.subjects.base import Job, Progress, Request, Scorer, Subject, jobs_of
from auto_interventions.subjects.recorded import RecordedSubject, RecordedTexts, check_pairing, recorded_texts
from auto_interventions.subjects.sources import Trust, folder_fingerprint, folder_of, steering_content

__all__ = [
    "Job",
    "Progress",
    "RecordedSubject",
    "RecordedTexts",
    "Request",
    "Scorer",
    "Subject",
    "check_pairing",
    "check_subject",
    "jobs_of",
    "open_subject",
    "recorded_texts",
    "subject_content",
]


def open_subject(
    config: SubjectConfig, role: Role, sampling: SamplingConfig, store: Store | None, crew: Crew | None = None, place: str = ""
) -> Subject:
    """One side of an audit. A live model is loaded when its first text is wanted; with a `store`, only for texts that are not there; with a
    `crew`, in its workers, which find the store at `place`.

    Raises:
        SubjectError: recorded texts that cannot be read; a live model raises it when it is first used.
    """
    if config.texts is not None:
        return RecordedSubject(RecordedTexts.read(config.texts, (role,)), role, sampling.seed, config.label)
    if config.api is not None:
        raise SubjectError(f"{role}: {config.label} is behind an API, which is asked within an audit only; give a `model` here")
    from auto_interventions.subjects.stored import StoredSubject
    from auto_interventions.subjects.thinking import live_subject

    live = live_subject(config, role, sampling)
    return live if store is None else StoredSubject(live, role, sampling, store, crew, place)


def subject_content(config: SubjectConfig, role: Role) -> str:
    """sha256 of the files that one side's texts come from: recorded texts, or a model, its adapter and its steering vectors; of a model
    behind an API, of its name. Loads nothing.

    Raises:
        SubjectError: they are not there.
    """
    if config.texts is not None:
        return RecordedTexts.read(config.texts, (role,)).sha256
    if config.api is not None:
        return fingerprint("api", config.api)  # its address: `stages.speaking.language_content`
    trust = Trust.of(config)
    folder = folder_of(str(config.model), config.revision, f"{role}.model", trust)
    adapter = folder_of(config.adapter, None, f"{role}.adapter", trust) if config.adapter is not None else None
    files: list[object] = [folder_fingerprint(folder, trust), folder_fingerprint(adapter, trust) if adapter is not None else None]
    return fingerprint(*files, *([steering_content(config, role)] if config.steering else []))


def check_subject(config: SubjectConfig, role: Role, free: bool = False) -> None:
    """Finds out cheaply whether the side can answer: files, architecture, tokenizer, template, whether the adapter fits; with `free`,
    whether it can write from nothing (`prompts.source: free`).

    No weights are read.

    Raises:
        SubjectError: one sentence with the field, the file and the fix.
    """
    if config.texts is not None:
        RecordedTexts.read(config.texts, (role,))
        return
    from auto_interventions.subjects.live_checks import check_live

    check_live(config, role, free)
