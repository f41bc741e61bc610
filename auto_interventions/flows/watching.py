"""An audit told to Prefect while it runs: progress, rounds, findings, a log; and a cancellation there told to the audit.

    with kept_in_prefect(workspace):    # inside a flow run
        order(tasks, where)

What is shown is written by a thread of its own (`Board`), a few requests every few seconds: a step of the audit costs the time of an
addition, and a server that is away is asked again. The same thread looks whether somebody cancelled the flow run, or one above it; then the
audit's next step raises `Cancelled`, at most a batch of texts later.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict
from functools import cache
from typing import TYPE_CHECKING
from uuid import UUID

from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext
from prefect.exceptions import CancelledRun, TerminationSignal
from prefect.logging import get_run_logger
from prefect.states import Cancelled as CancelledState

from auto_interventions.errors import AutoInterventionsError, Cancelled
from auto_interventions.flows import showing
from auto_interventions.flows.boards import Board
from auto_interventions.flows.server import watched
from auto_interventions.report import wording
from auto_interventions.report.markdown import unlinked
from auto_interventions.runs import load_run
from auto_interventions.stages.progress import Observer, RoundReport
from auto_interventions.stages.workspace import Workspace

if TYPE_CHECKING:
    from auto_interventions.stages.comparing import SideBySide

CANCELLED = "the run was cancelled in Prefect; what was done is saved: start the same audit again to go on"
ENDED = "the run was ended from outside (SIGTERM); what was done is saved: start the same audit again to go on"
_DRAW_SECONDS = 60.0  # between two pictures of the evidence while the audit runs
_MOST_LOGGED = 20
Log = logging.Logger | logging.LoggerAdapter[logging.Logger]
# The flow run at work and those above it: who cancels one of them cancels the audit.
_runs: ContextVar[tuple[UUID, ...]] = ContextVar("_runs", default=())


class Both:
    """Tells two observers, in this order."""

    def __init__(self, first: Observer, second: Observer) -> None:
        self._observers = (first, second)

    def stage(self, name: str, total: int | None = None) -> None:
        """See `Observer.stage`."""
        for observer in self._observers:
            observer.stage(name, total)

    def advance(self, steps: int) -> None:
        """See `Observer.advance`."""
        for observer in self._observers:
            observer.advance(steps)

    def round_ended(self, report: RoundReport) -> None:
        """See `Observer.round_ended`."""
        for observer in self._observers:
            observer.round_ended(report)


class PrefectObserver:
    """Shows an audit on a board and in the flow run's log; raises `Cancelled` once somebody has cancelled it.

    Called by the thread that works; `progress` by the board's.
    """

    def __init__(self, where: Workspace, board: Board, log: Log) -> None:
        self._where = where
        self._board = board
        self._log = log
        self._stage, self._total, self._done = "starting", 0, 0
        self._reports: list[tuple[RoundReport, float | None]] = []
        self._drawn = time.monotonic()
        self._ended, self._complete = "", False

    def stage(self, name: str, total: int | None = None) -> None:
        """See `Observer.stage`."""
        self._stage, self._total, self._done = name, total or 0, 0
        self._log.info("%s%s", unlinked(name), f": {total:,}" if total else "")
        self._check()

    def advance(self, steps: int) -> None:
        """See `Observer.advance`."""
        self._done += steps
        self._check()

    def round_ended(self, report: RoundReport) -> None:
        """See `Observer.round_ended`."""
        where = self._where
        self._reports.append((report, where.last_stability() if report.phase == "explore" else None))
        reports = list(self._reports)
        self._board.show("rounds", lambda: showing.rounds_table(where.config.name, reports))
        what = "strata differ" if report.phase == "explore" else "sentences hold"
        evidence = showing.power(report.log_e)
        self._log.info(
            f"{report.phase} round {report.round + 1}: {report.texts:,} texts, evidence {evidence}, {report.found} of {report.of} {what}"
        )
        if report.phase == "explore" and time.monotonic() - self._drawn > _DRAW_SECONDS:
            self._drawn = time.monotonic()
            rounds, strata = [asdict(one) for one in where.explore_state().history], list(where.explore_state().strata)
            self._board.show("evidence", lambda: showing.evidence_figure(where.config.name, rounds, strata, where.config.inference.alpha))
        self._check()

    def progress(self) -> showing.Shown:
        """How far the audit is: texts drawn of those that it may draw."""
        where, doing = self._where, self._ended
        texts = 2 * sum(len(pairs) for pairs in list(where.pairs.values())) + sum(len(texts) for texts in list(where.texts.values()))
        if "texts of the" in self._stage:
            texts += self._done
        if not doing:
            counted = f", {self._done:,} of {self._total:,}" if self._total else ""
            doing = f"{self._stage}{counted}; {texts:,} texts so far, at most {where.config.sampling.max_texts:,}"
        share = 1.0 if self._complete else min(0.99, texts / where.config.sampling.max_texts)
        return showing.progress(where.config.name, share, doing)

    def concluded(self) -> None:
        """Shows findings and pictures of the run that has ended, from its files."""
        where, path = self._where, self._where.directory.path
        run = load_run(path)
        name, alpha, findings = where.config.name, where.config.inference.alpha, run.findings
        rounds, strata = run.run.get("rounds") or [], list(run.strata["stratum"].astype(str))
        evidence = cache(lambda: showing.evidence_figure(name, rounds, strata, alpha))
        effects = cache(lambda: showing.effects_figure(name, findings))
        self._board.show("findings", lambda: showing.findings_table(name, findings))
        self._board.show("evidence", evidence)
        self._board.show("effects", effects)
        self._board.show("summary", lambda: showing.summary(name, findings, path, (effects(), evidence())))
        held = wording.validated(findings)
        for finding in held[:_MOST_LOGGED]:
            self._log.info("finding: %s", unlinked(showing.told_of(finding), 400))
        status = run.run.get("status")
        report = showing.address_of(path / "report.html") or path / "report.html"
        texts = (run.ledger.get("all") or {}).get("texts", 0)
        self._complete = True
        self._ended = f"{status}: {len(held)} of {len(findings['findings'])} sentences hold"
        self._log.info("%s, %s texts; report: %s", self._ended, f"{texts:,}", report)

    def broke_off(self, error: BaseException) -> None:
        """Notes why it ended before its time."""
        if isinstance(error, TerminationSignal):
            self._where.extra["error"] = ENDED
        reason = str(error) if isinstance(error, AutoInterventionsError) else self._where.extra.get("error", type(error).__name__)
        self._ended = f"interrupted in “{self._stage}”: {reason}"

    def _check(self) -> None:
        if self._board.cancelled:
            raise Cancelled(CANCELLED)


def ended(work: Callable[[], None], result: str) -> str | State[str]:
    """What a flow returns after `work`: `result`; the state Cancelled, with the sentence, where somebody cancelled it."""
    try:
        work()
    except Cancelled as error:
        return CancelledState(message=str(error))
    return result


@contextmanager
def cancellable() -> Generator[None]:
    """Around the call of a flow: that it was cancelled is an error of ours again.

    Raises:
        Cancelled: it was.
    """
    try:
        yield
    except CancelledRun:
        raise Cancelled(CANCELLED) from None


@contextmanager
def kept_in_prefect(where: Workspace) -> Generator[None]:
    """Inside, the audit is told to the flow run at work as well; nothing where nobody could look at it.

    Raises:
        Cancelled: somebody cancelled the flow run.
    """
    context = FlowRunContext.get()
    if not watched() or context is None or context.flow_run is None:
        yield
        return
    with _board(context.flow_run.id) as board, _readable_log():
        teller = PrefectObserver(where, board, get_run_logger())
        before, where.observer = where.observer, Both(where.observer, teller)
        board.source("progress", teller.progress)
        try:
            yield
            teller.concluded()
        except BaseException as error:
            teller.broke_off(error)
            raise
        finally:
            where.observer = before


@contextmanager
def comparison_kept(where: SideBySide) -> Generator[None]:
    """As `kept_in_prefect`, for a comparison: its two audits are flow runs below, of which each shows itself."""
    context = FlowRunContext.get()
    if not watched() or context is None or context.flow_run is None:
        yield
        return
    with _board(context.flow_run.id) as board, _readable_log():
        yield
        if where.result is not None:
            for key, make in showing.of_comparison(where.result, where.folder).items():
                board.show(key, make)
            page = showing.address_of(where.folder / "compare.html") or where.folder / "compare.html"
            get_run_logger().info("%s Comparison: %s", unlinked(showing.headline_of(where.result), 600), page)


@contextmanager
def _board(run: UUID) -> Generator[Board]:
    """A board of the flow run, that looks for cancellations of it and of those above it."""
    token = _runs.set((*_runs.get(), run))
    board = Board(run, _runs.get())
    try:
        yield board
    finally:
        board.close()
        _runs.reset(token)


class _Sentences(logging.Filter):
    """What a person can mend is told in its sentence, without a traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Shortens the record."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, AutoInterventionsError):
            record.msg, record.args, record.exc_info, record.exc_text = str(error), (), None, None
        return True


class _NotTasks(logging.Filter):
    """The flow run's log tells what the tasks do and why one failed; a task's own says "Finished in state Completed()"."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Leaves warnings and unforeseen errors."""
        error = record.exc_info[1] if record.exc_info else None
        return (
            record.levelno >= logging.WARNING
            and not isinstance(error, AutoInterventionsError)
            and "Finished in state" not in str(record.msg)
        )


@contextmanager
def _readable_log() -> Generator[None]:
    """Inside, Prefect's own lines in the log are those that a person needs."""
    filters: Sequence[tuple[str, logging.Filter]] = (("prefect.task_runs", _NotTasks()), ("prefect.flow_runs", _Sentences()))
    for name, one in filters:
        logging.getLogger(name).addFilter(one)
    try:
        yield
    finally:
        for name, one in filters:
            logging.getLogger(name).removeFilter(one)
