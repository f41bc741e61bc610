"""Themes over the findings, by chained summarising: a few findings at a time are put to the themes so far, which may be merged.

A call shows the themes so far, by number and title, and up to twenty further findings, by id; the reply says which themes there are now:
the numbers that each takes over, and the ids of its new findings. The code keeps the books: a theme so far that the reply forgets stays as
it is, ids that do not exist are dropped, an id (a number) that is named twice counts where it comes first, and findings that the model
leaves out stand under "Other". So every finding is in exactly one theme, whatever the model says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel, Field

from auto_interventions.examining.asking import no_answer, request, shown_finding, validated
from auto_interventions.hypotheses.themes import themes_of
from auto_interventions.llm import ChatRequest, Failure
from auto_interventions.llm.asking import Asker
from auto_interventions.llm.fences import fenced, one_line
from auto_interventions.records import Finding

TEMPLATE = "examine/themes/v1"
OTHER = "Other"
_A_CALL = 20
_TITLE = 60  # characters
_TASK = """An audit found in what ways the texts of a changed language model differ from those of the base model.
Put the findings into themes: few, each of findings that belong together by what they are about, with a plain title of two to five words.
Some themes may exist already; they have numbers. Answer with all themes that there should be now. For each give
- "title";
- "continues": the numbers of the existing themes that it takes over (two or more merge them; none makes a new theme);
- "findings": the ids of the findings below that belong to it.
Put every id into exactly one theme."""


class _Theme(BaseModel):
    title: str = Field(description="two to five words")
    continues: list[int]
    findings: list[str]


class _Themes(BaseModel):
    themes: list[_Theme] = Field(max_length=60)


@dataclass
class _Group:
    title: str
    ids: list[str] = field(default_factory=list[str])


def chained_themes(asker: Asker, findings: Sequence[Finding]) -> tuple[list[dict[str, object]], str | None]:
    """The validated findings in titled groups.

    Args:
        asker: the labeller.
        findings: others than validated ones are left alone.

    Returns:
        `[{"title": …, "findings": [ids]}, …]`, every validated finding in exactly one; and None, or why the model's could not be had: the
        groups are then those of `hypotheses.themes_of`.

    Raises:
        BudgetSpent, ChatError, Interrupted: as `Asker.ask_all`.
    """
    shown = validated(findings)
    groups: list[_Group] = []
    for start in range(0, len(shown), _A_CALL):
        batch = shown[start : start + _A_CALL]
        (outcome,) = asker.ask_many([_question(groups, batch)], TEMPLATE)
        if isinstance(outcome, Failure):
            return themes_of(findings), no_answer(outcome)
        if isinstance(outcome.value, _Themes):
            groups = _merged(groups, outcome.value, [finding.id for finding in batch])
    placed = {identifier for group in groups for identifier in group.ids}
    left = [finding.id for finding in shown if finding.id not in placed]
    themes: list[dict[str, object]] = [{"title": group.title, "findings": group.ids} for group in groups]
    if left:
        themes.append({"title": OTHER, "findings": left})
    return themes, None


def _question(groups: Sequence[_Group], batch: Sequence[Finding]) -> ChatRequest:
    titles = "\n".join(f"{number}. {group.title}" for number, group in enumerate(groups, 1)) or "(none yet)"
    data = [fenced("themes", titles, 6_000), *(shown_finding(finding, f"finding_{finding.id}") for finding in batch)]
    ids = ", ".join(finding.id for finding in batch)
    return request(_TASK, [*data, f"The ids are: {ids}"], _Themes, 400 + 40 * (len(batch) + len(groups)))


def _merged(groups: Sequence[_Group], reply: _Themes, ids: Sequence[str]) -> list[_Group]:
    """The groups after a reply, each id of `ids` in one of them at most."""
    free, untaken = set(ids), set(range(1, len(groups) + 1))
    after: dict[str, _Group] = {}
    for theme in reply.themes:
        taken = [number for number in dict.fromkeys(theme.continues) if number in untaken]
        new = [identifier for identifier in dict.fromkeys(theme.findings) if identifier in free]
        title = one_line(theme.title, _TITLE)
        if not title or title.casefold() == OTHER.casefold():  # ours: what no theme wants
            continue
        untaken.difference_update(taken)
        free.difference_update(new)
        group = after.setdefault(title.casefold(), _Group(title))
        for number in taken:
            group.ids += groups[number - 1].ids
        group.ids += new
    for number in sorted(untaken):
        old = groups[number - 1]
        after.setdefault(old.title.casefold(), _Group(old.title)).ids.extend(old.ids)
    return [group for group in after.values() if group.ids]
