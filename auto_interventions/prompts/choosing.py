"""Which of a bank's rows are asked: categories, copies, balance, caps. Every choice at random depends on seed and text alone, so that a
grown bank keeps most of it."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeVar

from auto_interventions.config import PromptsConfig
from auto_interventions.errors import PromptError
from auto_interventions.fingerprint import fingerprint
from auto_interventions.prompts.duplicates import distinct, without_copies
from auto_interventions.prompts.rows import BankRow
from auto_interventions.records import Prompt

RowT = TypeVar("RowT", BankRow, Prompt)

SUBCATEGORY = ": "
"""Between a category and a part of it, as in `gender: American_actors`; naming the first names all its parts."""


def capped(prompts: list[Prompt], most: int | None, seed: int) -> list[Prompt]:
    """A seeded random choice of at most `most` prompts, in their order; None keeps all."""
    return _fewest(prompts, most, lambda prompt: fingerprint("cap", seed, prompt.text))


def chosen(rows: Sequence[BankRow], config: PromptsConfig, seed: int, where: str) -> tuple[list[BankRow], dict[str, int]]:
    """The rows that are asked, in their order, and how many were left out by each reason.

    In turn: empty ones; other categories; rows that differ from an earlier one in case, white space and punctuation only; near copies
    (`near_duplicates`); `max_per_stratum` and `balance`; `max_prompts`.

    Args:
        rows: the bank.
        config: what is wanted.
        seed: of the caps.
        where: what messages call the bank.

    Raises:
        PromptError: a category that the bank does not have, or caps by category of a bank without categories.
    """
    steps: list[tuple[str, Callable[[list[BankRow]], list[BankRow]]]] = [
        ("empty", lambda held: [row for row in held if row.text.strip()]),
        ("of other categories", lambda held: _of_categories(held, config.categories, where)),
        ("alike", lambda held: distinct(held, lambda row: row.compared)),
        ("near copies", lambda held: without_copies(held, config.near_duplicates, lambda row: row.compared)),
        (_cap_name(config), lambda held: _balanced(held, config, seed, where)),
        ("over max_prompts", lambda held: _fewest(held, config.max_prompts, lambda row: fingerprint("cap", seed, row.text))),
    ]
    kept, dropped = list(rows), dict[str, int]()
    for reason, step in steps:
        before = len(kept)
        kept = step(kept)
        dropped[reason] = before - len(kept)
    return kept, dropped


def _cap_name(config: PromptsConfig) -> str:
    return "to balance the categories" if config.balance else "over max_per_stratum"


def _fewest(rows: list[RowT], most: int | None, key: Callable[[RowT], str]) -> list[RowT]:
    """The `most` rows with the smallest keys, in their order."""
    if most is None or len(rows) <= most:
        return rows
    places = sorted(range(len(rows)), key=lambda place: key(rows[place]))[:most]
    return [rows[place] for place in sorted(places)]


def _of_categories(rows: list[BankRow], wanted: Sequence[str], where: str) -> list[BankRow]:
    if not wanted:
        return rows
    known = {row.stratum for row in rows} | {row.stratum.split(SUBCATEGORY)[0] for row in rows}
    for category in wanted:
        if category not in known:
            near = difflib.get_close_matches(category, sorted(known - {""}), n=1, cutoff=0.0)
            hint = f"did you mean `{near[0]}`?" if near else "it has no categories: remove the field"
            raise PromptError(f"{where}: no prompt is of the category {category!r}, which `prompts.categories` names; {hint}")
    names = set(wanted)
    return [row for row in rows if row.stratum in names or row.stratum.split(SUBCATEGORY)[0] in names]


def _balanced(rows: list[BankRow], config: PromptsConfig, seed: int, where: str) -> list[BankRow]:
    """At most so many rows of each category: `max_per_stratum`; where all are to be equal the size of the smallest, too, and what
    `max_prompts` leaves each of them, so that the later cap does not upset it."""
    if config.max_per_stratum is None and not config.balance:
        return rows
    sizes = Counter(row.stratum for row in rows)
    if "" in sizes:
        field = "balance" if config.balance else "max_per_stratum"
        raise PromptError(
            f"{where}: {sizes['']} prompts have no category, so `prompts.{field}` cannot apply; give a column of categories "
            f"(`prompts.stratum_column`), or remove the field"
        )
    most = config.max_per_stratum or max(sizes.values(), default=0)
    if config.balance and sizes:
        most = min(most, *sizes.values())
        if config.max_prompts is not None:
            most = min(most, max(1, config.max_prompts // len(sizes)))
    of_category: dict[str, list[tuple[str, int]]] = {}
    for place, row in enumerate(rows):
        # Another key than that of `max_prompts`: what is left of a large category would else come first there.
        of_category.setdefault(row.stratum, []).append((fingerprint("category cap", seed, row.text), place))
    kept = sorted(place for keyed in of_category.values() for _, place in sorted(keyed)[:most])
    return [rows[place] for place in kept]
