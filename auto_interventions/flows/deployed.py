"""The flows of deployments: what the Prefect UI shows as forms, schedules start, and REST calls trigger (docs/deployments.md).

Each is a thin door to what the commands do. A docstring's `Args` are the descriptions in the form. What a person can mend ends the run as
Failed, its message the sentence that the command would have shown; an audit that a budget ended is Completed under the name Stopped.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed
from pydantic import Field

from auto_interventions.audit_file import read_yaml
from auto_interventions.flows.outcomes import concluded, config_of, name_of, told
from auto_interventions.flows.starting import audit_within_flow, compare_within_flow, title_of
from auto_interventions.stages.progress import Silent

Dollars = Annotated[float, Field(ge=0)]
Minutes = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


def _audit_name() -> str:
    return name_of("audit", lambda given: title_of(config_of(given["audit_file"], given.get("overrides", ()))))


def _compare_name() -> str:
    return name_of("compare", lambda given: f"compare {title_of(config_of(given['audit_file'], given.get('overrides', ())))}")


def _plant_name() -> str:
    return name_of("plant", lambda given: f"plant {read_yaml(Path(given['plant_file']))['name']}")


@flow(name="audit", flow_run_name=_audit_name)
def audit(
    audit_file: Path,
    out: str = "",
    overrides: tuple[str, ...] = (),
    runner: str = "threads",
    dollars: Dollars | None = None,
    minutes: Minutes | None = None,
) -> State[Any]:
    """Audits a changed language model: what else changed? Starting it again with the same run folder resumes it.

    Args:
        audit_file: The audit file (YAML, docs/audit-file.md), as the worker sees it: an absolute path, or one below its working folder.
        out: Run folder that gets the report; empty: runs/NAME, where NAME is the audit's. The same audit in the same folder resumes.
        overrides: Fields of the audit file with other values, each as a.b=c, for example sampling.max_texts=4000.
        runner: Where the work runs: threads, dask, dask:N (N processes), dask-cuda (one a GPU), or the address of a Dask scheduler.
        dollars: Cap on the money for language models, in place of the file's budget.dollars; None: the file's.
        minutes: Cap on wall-clock minutes, in place of the file's budget.minutes; None: the file's.
    """

    def run() -> State[Any]:
        config = config_of(audit_file, overrides, dollars, minutes)
        folder = Path(out or f"runs/{config.name}")
        status = audit_within_flow(config, folder, Silent(), runner=runner)
        return concluded(folder.resolve(), status)

    return told(run)


@flow(name="compare", flow_run_name=_compare_name)
def compare(
    audit_file: Path,
    out: str = "",
    overrides: tuple[str, ...] = (),
    exhaustive_texts: Count | None = None,
    share_store: bool = False,
    runner: str = "threads",
    dollars: Dollars | None = None,
) -> State[Any]:
    """The same audit actively and exhaustively: what was saved, and what was kept. Starting it again resumes it.

    Args:
        audit_file: The audit file (YAML, docs/audit-file.md), as the worker sees it: an absolute path, or one below its working folder.
        out: Folder of both runs; empty: runs/NAME-compare, where NAME is the audit's.
        overrides: Fields of the audit file with other values, each as a.b=c, for example sampling.max_texts=4000.
        exhaustive_texts: Texts of the exhaustive audit; None: as many as the active one may draw.
        share_store: Use the file's store for both, instead of a fresh one each: quicker, but the seconds are no fair measure then.
        runner: Where the work runs: threads, dask, dask:N (N processes), dask-cuda (one a GPU), or the address of a Dask scheduler.
        dollars: Cap on the money for language models, for each of the two; None: the file's.
    """

    def run() -> State[Any]:
        config = config_of(audit_file, overrides, dollars)
        folder = Path(out or f"runs/{config.name}-compare")
        result = compare_within_flow(config, folder, Silent(), exhaustive_texts, share_store, runner)
        kept = f"{result.findings.kept} of {len(result.findings.exhaustive)} findings of the exhaustive audit are the active one's too"
        return Completed(message=f"{kept}. Comparison: {folder.resolve() / 'compare.html'}", data={"run": str(folder.resolve())})

    return told(run)


@flow(name="plant", flow_run_name=_plant_name)
def plant(plant_file: Path, only: tuple[str, ...] = (), again: bool = False) -> State[Any]:
    """Makes interventions with known behaviours, and measures what they really show.

    Args:
        plant_file: What to plant (YAML, docs/planting.md), as the worker sees it: an absolute path, or one below its working folder.
        only: Names of the interventions to make; empty: all of the file.
        again: Make anew what is there already, too.
    """

    def run() -> State[Any]:
        from auto_interventions.planting import plant as make

        truth = make(plant_file, only=only, again=again).resolve()
        return Completed(message=f"Truth: {truth}", data={"truth": str(truth)})

    return told(run)
