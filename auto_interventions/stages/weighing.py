"""The weights themselves, beside the behaviour: how far each matrix moved, where both sides are local models (docs/weights.md).

It comes after the conclusion, decides nothing, and costs no finding: what cannot be compared is a sentence in run.json and in the report.
"""

from __future__ import annotations

from auto_interventions.config import SubjectConfig
from auto_interventions.errors import BadInput
from auto_interventions.fingerprint import fingerprint
from auto_interventions.records import ROLES
from auto_interventions.stages.order import Counts
from auto_interventions.stages.workspace import Workspace
from auto_interventions.stores.keys import ContentKeys
from auto_interventions.stores.sealed import seal, unseal
from auto_interventions.subjects import subject_content
from auto_interventions.weightdiff import VERSION, Incomparable, WeightDifference, measure_difference, weights_of

TABLE = "weights.parquet"


def measure_weights(where: Workspace) -> Counts:
    """Writes weights.parquet and `weights` of run.json: `measured`, and the figures or the `reason` why not."""
    with where.ledger.stage("weights"):
        try:
            difference, reused = _measured(where)
        except (Incomparable, BadInput) as error:
            where.extra["weights"] = {"measured": False, "reason": str(error)}
            where.ledger.stages.pop("weights")
            where.write_run()
            return {"tensors": 0}
        where.directory.write_table(TABLE, difference.columns())
    where.extra["weights"] = {"measured": True, "reused": reused, **difference.summary()}
    where.write_run()
    return {"tensors": len(difference.changes)}


def _measured(where: Workspace) -> tuple[WeightDifference, bool]:
    """The difference, and whether it came from the store.

    Raises:
        Incomparable: there is none to be had.
        BadInput: files are gone or damaged.
    """
    config = where.config
    if config.weights.difference == "never":
        raise Incomparable("the audit file says so (`weights.difference: never`)")
    for role in ROLES:
        weights_of(getattr(config, role), role)
    if where.out_of_budget:
        raise Incomparable("the budget was spent before")
    if not where.reuse_run:
        raise Incomparable("this run is there to measure what an audit costs")
    where.observer.stage("weights")
    key = _key(config.base, config.intervention, config.weights.rank)
    kept = unseal(where.store.get_many([key])[0])
    if isinstance(kept, dict):
        return WeightDifference.from_json(kept), True
    told = 0

    def advance(done: int, of: int) -> None:
        nonlocal told
        if not told:
            where.observer.stage("weights", of)
        where.observer.advance(done - told)
        told = done

    difference = measure_difference(config.base, config.intervention, config.weights.rank, advance)
    where.store.put_many({key: seal(difference.as_json())})
    return difference, False


def _key(base: SubjectConfig, intervention: SubjectConfig, rank: int) -> str:
    """Of what was measured: the files of both sides, the formats that they are rounded to, how many values."""
    contents = subject_content(base, "base"), subject_content(intervention, "intervention")
    formats = base.quantization, intervention.quantization
    return ContentKeys("weights", VERSION, fingerprint(contents[1]), *contents, *formats).of_parts(rank)
