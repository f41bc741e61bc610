"""The prompt bank: what the models are asked, in which strata, and which half may choose hypotheses.

`load_prompts` (or `free_prompts`) → `stratify` → `split`, and `mine_prefixes` where the explore pool runs dry: each a pure function of
its arguments.
"""

from __future__ import annotations

from auto_interventions.prompts.bank import capped, load_prompts
from auto_interventions.prompts.prefixes import beginning, free_prompts, mine_prefixes
from auto_interventions.prompts.split import split
from auto_interventions.prompts.strata import strata_made, stratify

__all__ = ["beginning", "capped", "free_prompts", "load_prompts", "mine_prefixes", "split", "strata_made", "stratify"]
