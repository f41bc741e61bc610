"""The prompt bank: what the models are asked, in which strata, and which half may choose hypotheses.

`load_prompts` → `stratify` → `split`, each a pure function of its arguments.
"""

from __future__ import annotations

from auto_interventions.prompts.bank import load_prompts
from auto_interventions.prompts.split import split
from auto_interventions.prompts.strata import stratify

__all__ = ["load_prompts", "split", "stratify"]
