"""What is looked at beside the verdicts, of the findings that confirming left. None of it decides anything.

What needs no language model is always done; what a language model says comes last, each part by itself, so that money which ends, or a
service that gives way, costs the parts that follow and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from auto_interventions.confirming import Conclusion
from auto_interventions.confirming import conclude as conclude_findings
from auto_interventions.errors import AutoInterventionsError, BudgetSpent
from auto_interventions.examining import (
    beside_words,
    chained_themes,
    generalisation,
    identify,
    judge_intent,
    learn_words,
    reasons,
    validate_generatively,
)
from auto_interventions.inference.classical import published_tests
from auto_interventions.judging.agreement import doubly_judged, known_items
from auto_interventions.judging.panel import panel
from auto_interventions.llm.asking import Asker
from auto_interventions.records import BoolArray, Finding
from auto_interventions.stages.order import Counts
from auto_interventions.stages.workspace import Workspace

# Explored pairs that the baseline learns from, and that known sentences are looked for in.
_MOST_LEARNED, _MOST_KNOWN = 10_000, 1_000


def examine(where: Workspace) -> Counts:
    """Concludes what was found, and looks at each finding from further sides."""
    where.observer.stage("examining findings")
    with where.ledger.stage("examine"):
        end = concluded(where)
        _without_models(where, end)
    asked = _with_models(where, end)
    _note_judges(where)
    return {"findings": len(end.findings), "asked": asked}


def concluded(where: Workspace) -> Conclusion:
    """What confirming found; worked out once."""
    if where.conclusion is None:
        judges = where.language.judges.judges_of
        where.conclusion = conclude_findings(where.confirm_state(), where.explore_state(), where.config, judges=judges)
    return where.conclusion


def _without_models(where: Workspace, end: Conclusion) -> None:
    """Tests of published runs, strata, bag of words."""
    state, alpha, row_of = where.confirm_state(), where.config.inference.alpha, _rows(where)
    pairs = state.pairs
    tests = published_tests(state.scores_base, state.scores_intervention, [one.born_round for one in state.hypotheses], alpha)
    _beside(where, "published_tests", {hypothesis.id: tests[row] for row, hypothesis in enumerate(state.hypotheses)})
    held = [finding for finding in end.findings if finding.status == "validated"]
    bag = learn_words(where.explored_pairs()[-_MOST_LEARNED:], where.config.sampling.seed) if held else ""
    for finding in held:
        row = row_of[finding.id]
        base, intervention = state.scores_base[row], state.scores_intervention[row]
        strata = generalisation(pairs, base, intervention, finding.more_in, alpha, state.backbone)
        _beside(where, "generalisation", {finding.id: strata})
        _beside(where, "bag_of_words", {finding.id: beside_words(bag, pairs, base, intervention, finding.more_in, alpha)})


def _with_models(where: Workspace, end: Conclusion) -> int:
    """What language models are asked about the findings; how many parts were done."""
    parts = [*_of_judges(where, end), *_of_labeller(where, end)]
    done = 0
    for name, work in parts:
        if where.out_of_money:
            break
        where.observer.stage(f"examining findings: {name}")
        with where.ledger.stage("examine: ask") as counts, where.language.charged(counts):
            try:
                work()
                done += 1
            except BudgetSpent as error:
                where.out_of_money = str(error)
            except AutoInterventionsError as error:
                where.extra.setdefault("not_examined", {}).update({name: str(error)})  # pyright: ignore[reportAttributeAccessIssue]
        where.write_ledger()
    return done


def _of_judges(where: Workspace, end: Conclusion) -> Iterable[tuple[str, Callable[[], None]]]:
    asker, config = where.language.best_judge, where.config
    if asker is None:
        return
    spoken = tuple(finding for finding in end.findings if finding.check is None)
    if any(finding.status == "validated" for finding in spoken):
        most = config.judge.max_characters
        yield "reasons", lambda: _beside(where, "reasons", reasons(asker, spoken, where.confirmed_pairs(), most))
        if config.judge.panel:
            yield "further judges", lambda: _panel(where, spoken)
    if config.judge.known_pairs:
        yield "known sentences", lambda: _known(where)


def _of_labeller(where: Workspace, end: Conclusion) -> Iterable[tuple[str, Callable[[], None]]]:
    labeller, config = where.language.labeller, where.config
    if labeller is None or not any(finding.status == "validated" for finding in end.findings):
        return
    yield "themes", lambda: _themes(where, labeller, end.findings)
    intent = config.intent
    if intent is not None:
        yield "intent", lambda: _beside(where, "intent", judge_intent(labeller, end.findings, intent))
    seed, alpha, pairs = config.sampling.seed, config.inference.alpha, where.confirmed_pairs()
    sides = where.subjects
    if prompts := config.examine.generative_prompts:
        yield (
            "generative validation",
            lambda: _beside(
                where,
                "generative",
                validate_generatively(labeller, end.findings, pairs, sides["base"], sides["intervention"], prompts, seed, alpha),
            ),
        )
    if trials := config.examine.identification_trials:
        yield (
            "identification",
            lambda: _beside(
                where, "identification", identify(labeller, end.findings, pairs, sides["base"], sides["intervention"], trials, seed, alpha)
            ),
        )


def _beside(where: Workspace, name: str, told: Mapping[str, object]) -> None:
    for identifier, value in told.items():
        where.beside.setdefault(identifier, {})[name] = value


def _themes(where: Workspace, labeller: Asker, findings: tuple[Finding, ...]) -> None:
    where.themes, failure = chained_themes(labeller, findings)
    if failure is not None:
        where.extra["themes_by_source"] = failure


def _panel(where: Workspace, spoken: tuple[Finding, ...]) -> None:
    state, row_of = where.confirm_state(), _rows(where)
    rows = [row_of[finding.id] for finding in spoken if finding.status == "validated"]
    most = where.config.examine.panel_pairs
    judged = ~np.isnan(state.scores_base[rows] + state.scores_intervention[rows])
    cells: BoolArray = judged & (np.cumsum(judged, axis=1) <= most)
    columns = np.flatnonzero(cells.any(axis=0)).tolist()
    hypotheses = [state.hypotheses[row] for row in rows]
    own = state.judged.cheap_base[rows][:, columns], state.judged.cheap_intervention[rows][:, columns]
    cheap = where.language.judges.language[0].name
    told = panel(where.language.panel, hypotheses, [state.pairs[column] for column in columns], cells[:, columns], {cheap: own})
    _beside(where, "panel", {hypothesis.id: one for hypothesis, one in zip(hypotheses, told, strict=True)})


def _known(where: Workspace) -> None:
    count, seed = where.config.judge.known_pairs, where.config.sampling.seed
    pairs = where.explored_pairs()[-_MOST_KNOWN:]
    found = [known_items(judge, where.hypotheses, pairs, count, seed).as_dict() for judge in where.language.judges.language]
    where.extra["known_items"] = found


def _note_judges(where: Workspace) -> None:
    """What the judges did, for run.json and the ledger."""
    judges = [*where.language.judges.language, *where.language.panel]
    if not judges:
        return
    state = where.confirm_state()
    told: dict[str, object] = {"judges": [{**judge.record.as_dict(), "statements": len(judge.record.statements)} for judge in judges]}
    if state.judged.asked.any():
        told["agreement"] = doubly_judged(state.judged).as_dict()
    where.extra["judging"] = {**told, "known_items": where.extra.pop("known_items", [])}
    for hypothesis in state.hypotheses:
        spent = {
            judge.name: vars(judge.record.statements[hypothesis.statement]).copy()
            for judge in judges
            if hypothesis.statement in judge.record.statements
        }
        if hypothesis.check is None:
            where.ledger.hypotheses[hypothesis.id] = {
                "statement": hypothesis.statement,
                "dollars": round(sum(float(one["dollars"]) for one in spent.values()), 6),
                "by_judge": spent,
            }


def _rows(where: Workspace) -> dict[str, int]:
    return {hypothesis.id: row for row, hypothesis in enumerate(where.confirm_state().hypotheses)}
