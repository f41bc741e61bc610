"""Whether a finding shows again on fresh texts: the models answer the run's prompts once more, with another seed.

Planting one behaviour changes others a little. What no plant explains is a *side effect* if it is there again, and only else a false
discovery. Needs the run's models; recorded texts cannot be drawn anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import ValidationError

from auto_interventions.config import AuditConfig
from auto_interventions.errors import AutoInterventionsError
from auto_interventions.fingerprint import seed_of
from auto_interventions.hypotheses.asking import matrix
from auto_interventions.hypotheses.predicates import parse_predicate
from auto_interventions.records import ROLES, Prompt
from auto_interventions.runs import Run
from auto_interventions.subjects import Request, open_subject

SAMPLES = 2
_ONE_SIDED_5_PERCENT = 1.645


def reproduced(run: Run, findings: Mapping[str, dict[str, Any]]) -> dict[str, bool]:
    """For each finding by id: whether its difference, in its direction, is clear again (one-sided 5%, the prompt as the unit).

    Empty where the run's models are not live or not there any more.
    """
    try:
        config = AuditConfig.model_validate(run.run["config"])
    except ValidationError:  # a run of another version
        return {}
    if config.base.model is None or config.intervention.model is None or not findings:  # an API would cost money
        return {}
    sampling = config.sampling.model_copy(update={"seed": seed_of("score", config.sampling.seed)})
    asked = run.texts.drop_duplicates("prompt")
    requests = [Request(Prompt(text, stratum), 0, SAMPLES) for text, stratum in zip(asked["prompt"], asked["stratum"], strict=True)]
    checks = [parse_predicate(finding["check"]) for finding in findings.values()]
    try:
        rates = [
            matrix(checks, [text.text for text in open_subject(getattr(config, role), role, sampling, None).generate(requests)])
            for role in ROLES
        ]
    except AutoInterventionsError:
        return {}
    # (checks, prompts): the mean difference over each prompt's samples.
    differences = np.nan_to_num(rates[1] - rates[0]).reshape(len(checks), len(requests), SAMPLES).mean(axis=2)
    errors = differences.std(axis=1, ddof=1) / np.sqrt(len(requests))
    means = differences.mean(axis=1)
    signs = [1.0 if finding["difference"] > 0 else -1.0 for finding in findings.values()]
    return {
        name: bool(sign * mean > _ONE_SIDED_5_PERCENT * error)
        for name, sign, mean, error in zip(findings, signs, means.tolist(), errors.tolist(), strict=True)
    }
