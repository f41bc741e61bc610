"""The same audit again: a finished run is taken from the store, whole.

Its key holds whatever can change its files: the audit's settings (paths and names too: they are in the report), the contents of models,
adapters, recorded texts and prompts, the encoder, who computes the clusters, the versions of the packages, and every source file of
this package, so that a changed helper can never serve a stale answer. Left out are the store and the budget; runs that a budget
stopped are not kept.
"""

from __future__ import annotations

from contextlib import suppress

from auto_interventions.clustering.backends import chosen
from auto_interventions.config import AuditConfig
from auto_interventions.embedding import encoder_content
from auto_interventions.errors import Interrupted
from auto_interventions.fingerprint import file_fingerprint, source_fingerprint
from auto_interventions.prompts import bank_files
from auto_interventions.runs.directory import identity
from auto_interventions.runs.shelf import KeptRun, find_run, keep_run, restore_run
from auto_interventions.stages.order import Counts
from auto_interventions.stages.run_facts import ended, versions
from auto_interventions.stages.speaking import language_content
from auto_interventions.stages.workspace import Workspace
from auto_interventions.stores import Store
from auto_interventions.stores.keys import ContentKeys, name_entry
from auto_interventions.stores.upkeep import record_run
from auto_interventions.subjects import subject_content

RUN_VERSION = 1


def run_key(config: AuditConfig) -> str:
    """Under which the audit is kept once it is done. Imports no torch: a run that is taken from the store needs none."""
    subjects = [subject_content(config.base, "base"), subject_content(config.intervention, "intervention")]
    prompts = [file_fingerprint(path) for path in bank_files(config.prompts)]
    encoder = encoder_content(config.embedding)
    backend = chosen(config.clustering.backend)  # `auto` is another one on another machine
    content = [subjects, encoder, prompts, language_content(config), backend, versions(), source_fingerprint()]
    return ContentKeys("run", RUN_VERSION, subjects[1], *content).of(identity(config))


def find(config: AuditConfig, store: Store) -> KeptRun | None:
    """The same audit, finished earlier; None where there is none."""
    return find_run(store, run_key(config))


def restore(where: Workspace) -> Counts:
    """Writes the files of the same audit, finished earlier, if the store has it; 0 files where it has not."""
    with where.ledger.stage("reuse") as counts:
        kept = find(where.config, where.store) if where.reuse_run else None
        if kept is None or not restore_run(where.store, kept, where.directory):
            where.ledger.stages.pop("reuse")
            return {"files": 0}
        spent = kept.facts
        counts.texts = counts.texts_reused = int(str(spent["texts"]))
        counts.tokens = int(str(spent["tokens"]))
        counts.embeddings_cached = int(str(spent["embeddings"]))
        counts.judge_calls = counts.judge_calls_cached = int(str(spent["judge_calls"]))
    where.observer.stage(f"the same audit, finished {spent['finished']}, was taken from the store")
    where.status = "done"
    record_run(where.store, where.ledger, where.config.name, where.path)
    where.write_reused({"finished": spent["finished"], "seconds": spent["seconds"]})
    return {"files": len(kept.files)}


def keep(where: Workspace) -> Counts:
    """Puts a finished run into the store, for whoever asks for the same audit again.

    Its files are written by now: a store that gives way costs this copy only.
    """
    if where.status != "done" or not where.reuse_run:
        return {"bytes": 0}
    spent = where.ledger.all
    facts = {
        "texts": spent.texts,
        "tokens": spent.tokens,
        "embeddings": spent.embeddings_computed + spent.embeddings_cached,
        "judge_calls": spent.judge_calls,
        "seconds": round(where.seconds, 1),
        "finished": ended(where),
    }
    key = run_key(where.config)
    with suppress(Interrupted):
        where.store.put_many(dict([name_entry(key.split("/")[2], where.config.intervention.label)]))
        return {"bytes": keep_run(where.store, key, where.directory, facts)}
    return {"bytes": 0}
