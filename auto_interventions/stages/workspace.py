"""What an audit holds in memory while it runs, and where its tasks find it.

Tasks are handed the run directory's path; the workspace behind it is opened once a process. Everything in it can be computed again
from the configuration and the store, so a killed audit loses nothing but the batch at work.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from auto_interventions.clustering import ChangeEvidence, Partition
from auto_interventions.config import AuditConfig, EmbeddingConfig, SubjectConfig
from auto_interventions.confirming import Conclusion, ConfirmPlan, ConfirmRound, ConfirmState, log_e_overall, validated
from auto_interventions.crew import Crew
from auto_interventions.embedding import StoredEncoder, open_encoder
from auto_interventions.errors import AutoInterventionsError, RunDirectoryError
from auto_interventions.exploring import RoundState
from auto_interventions.hypotheses import Candidates
from auto_interventions.inference import gate_is_open
from auto_interventions.judging.judged import Judged
from auto_interventions.llm.secrets import ReadBlock
from auto_interventions.records import ROLES, FloatArray, FloatMatrix, Generation, Hypothesis, Pair, Pool, Prompt, Role
from auto_interventions.runs import Ledger, RunDirectory
from auto_interventions.stages.equipping import equip
from auto_interventions.stages.progress import Observer, Silent
from auto_interventions.stages.run_facts import reused_facts, run_facts
from auto_interventions.stages.speaking import LanguageModels
from auto_interventions.stores import Store, open_store
from auto_interventions.stores.shared import place_of
from auto_interventions.subjects import Request, Subject, open_subject

_open: dict[str, Workspace] = {}


class Workspace:
    """An audit in progress. The stages read and fill its fields in the order of the pipeline."""

    def __init__(
        self,
        config: AuditConfig,
        directory: RunDirectory,
        observer: Observer,
        read_block: ReadBlock | None = None,
        crew: Crew | None = None,
    ) -> None:
        self.config = config
        self.directory = directory
        self.observer = observer
        self.store: Store = open_store(config.store)
        self.ledger = Ledger(dollars_before=_dollars_spent(directory))
        # Who makes texts, vectors and local replies; None: this process.
        self.crew = crew
        self._unequip: Callable[[], None] | None = None
        self.language = LanguageModels(config, self.store, self.ledger, read_block, crew)
        self.started = datetime.now(UTC)
        self._clock = time.monotonic()
        self.prompts: tuple[Prompt, ...] = ()
        # Where they come from, under which licence, what was left out (`prompts.Bank.facts`).
        self.bank: dict[str, object] = {}
        self.requests: dict[tuple[Pool, int], list[Request]] = {}
        self.texts: dict[tuple[Pool, int, Role], list[Generation | None]] = {}
        self.pairs: dict[tuple[Pool, int], list[Pair]] = {}
        # Which of the pairs that were asked for are there, and by prompt id how many are not (stages/answering.py).
        self.kept: dict[tuple[Pool, int], list[bool]] = {}
        self.left_out: Counter[str] = Counter()
        self.vectors: dict[int, tuple[FloatMatrix, FloatMatrix]] = {}
        # All of them one below the other, after so many rounds (`sampling.all_vectors`).
        self.joined: tuple[int, FloatMatrix] | None = None
        self.partition: Partition | None = None
        self.stability = math.nan
        self.cluster_quality: dict[str, float] = {}
        self.cluster_changes = ChangeEvidence.start()
        self.exploring: RoundState | None = None
        # What could be proposed after so many rounds: it says where to look and whether exploring may stop, and is proposed when it has.
        self.suggested: tuple[int, Candidates] | None = None
        self.hypotheses: tuple[Hypothesis, ...] = ()
        self.confirming: ConfirmState | None = None
        self.confirm_plan = ConfirmPlan()
        self.confirm_requests: dict[int, ConfirmRound] = {}
        # (H, strata of the confirm pool, 3): what exploring paid each hypothesis where (`ConfirmState.seen`).
        self.explored_payoffs: FloatArray | None = None
        # Whether any look at any time would have reported something: what a simulation of the error rate needs.
        self.peeks = {"different": False, "divergent": False, "validated": False}
        self.confirm_rounds: list[dict[str, object]] = []
        self.stopped: dict[Pool, str] = {}
        self.outlook = ""
        # What the cheap judge said of explored pairs about sentences that only a language model can judge; their pairs.
        self.screened: tuple[Judged, list[Pair]] | None = None
        # What confirming found and what was looked at beside it, by finding id.
        self.conclusion: Conclusion | None = None
        self.beside: dict[str, dict[str, object]] = {}
        self.themes: list[dict[str, object]] | None = None
        # Further fields of run.json.
        self.extra: dict[str, object] = {}
        self.out_of_budget = False
        # Why no language model may be asked any more; what costs nothing goes on.
        self.out_of_money = ""
        # Whether the same audit, finished earlier, may be taken from the store; not where costs are to be measured.
        self.reuse_run = True
        self.status = "running"

    @classmethod
    def create(
        cls,
        config: AuditConfig,
        folder: Path,
        observer: Observer | None = None,
        read_block: ReadBlock | None = None,
        crew: Crew | None = None,
    ) -> Workspace:
        """Claims `folder` for the audit and registers the workspace under its path.

        Args:
            read_block: reads the Prefect Secret blocks that hold keys of language models.
            crew: who makes texts, vectors and replies of local models; None: this process.

        Raises:
            RunDirectoryError: the folder holds something else.
        """
        directory = RunDirectory.claim(folder.resolve(), config)
        workspace = cls(config, directory, observer or Silent(), read_block, crew)
        _open[workspace.path] = workspace
        workspace.write_run()
        return workspace

    @property
    def path(self) -> str:
        """The run directory's absolute path: the name by which tasks find the workspace."""
        return str(self.directory.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        _open.pop(self.path, None)
        if self._unequip is not None:
            with suppress(AutoInterventionsError):  # a store that gave way
                self._unequip()
        self.store.close()
        if error is not None and self.status == "running":
            self._broke_off(error)

    def _broke_off(self, error: BaseException) -> None:
        """run.json says that nobody is at work any more, and why where that is one of our sentences (others may hold anything)."""
        self.status = "interrupted"
        if isinstance(error, AutoInterventionsError):
            self.extra["error"] = str(error)
        with suppress(AutoInterventionsError, OSError):  # a full disk broke it off, perhaps
            self.write_run()

    @cached_property
    def subjects(self) -> dict[Role, Subject]:
        """Both sides, opened once; a shared base model is loaded once."""
        place = place_of(self.config.store)
        opened: dict[Role, Subject] = {}
        for role in ROLES:
            config: SubjectConfig = getattr(self.config, role)
            if config.api is not None:
                opened[role] = self.language.subject(config, role)
            else:
                opened[role] = open_subject(self._suited(role), role, self.config.sampling, self.store, self.crew, place)
        return opened

    def _suited(self, role: Role) -> SubjectConfig:
        """One side's configuration, with the number format that suits the workers' device."""
        config: SubjectConfig = getattr(self.config, role)
        if self.crew is None or config.model is None or config.quantization is not None:
            return config
        from auto_interventions.subjects.live_checks import format_on

        return config.model_copy(update={"quantization": format_on(config, role, self.crew.facts.device)})

    def equip(self) -> None:
        """Finds out whether the workers, where there are any, can do this audit's work.

        Raises:
            BadInput: another version, store or model there.
            Interrupted: the workers are gone.
        """
        if self.crew is not None:
            from auto_interventions.subjects.stored import StoredSubject

            sides = [subject.side for subject in self.subjects.values() if isinstance(subject, StoredSubject)]
            needs = [*sides, self.encoder.place, *self.language.places()]
            self._unequip = equip(self.crew, self.store, self.config.store, needs)

    @cached_property
    def encoder(self) -> StoredEncoder:
        """The encoder behind the store."""
        config: EmbeddingConfig = self.config.embedding
        if self.crew is not None and config.dtype == "auto":
            config = config.model_copy(update={"dtype": self.crew.facts.encoder})
        name = Path(config.model).name
        return StoredEncoder(open_encoder(config), self.store, name, self.crew, place_of(self.config.store))

    @property
    def seconds(self) -> float:
        """Wall-clock seconds since the workspace was made."""
        return time.monotonic() - self._clock

    @staticmethod
    def stage_name(phase: Pool, round: int) -> str:
        """What the ledger calls a round's stage: scan (the first look, everywhere), focus (where it pays), confirm."""
        if phase == "confirm":
            return "confirm"
        return "focus" if round else "scan"

    def last_stability(self) -> float | None:
        """Agreement of the last two rounds' partitions (adjusted Rand); None with fewer than two rounds."""
        return None if math.isnan(self.stability) else self.stability

    def out_of_time(self) -> bool:
        """Whether `budget.minutes` is spent."""
        minutes = self.config.budget.minutes
        return minutes is not None and self.seconds > 60 * minutes

    @property
    def served(self) -> bool:
        """Whether a side is behind an API, so that its texts cost money."""
        return self.config.base.api is not None or self.config.intervention.api is not None

    @property
    def stopped_because(self) -> str:
        """Why exploring and confirming ended and what more texts would buy, for the report."""
        names: dict[Pool, str] = {"explore": "Exploring", "confirm": "Confirming"}
        reasons = [f"{names[phase]} stopped: {reason}." for phase, reason in self.stopped.items()]
        money = [f"No language model was asked any more: {self.out_of_money}."] if self.out_of_money else []
        return " ".join([*reasons, *money, self.outlook]).strip()

    def warm_up(self) -> None:
        """Imports what models and encoder need, while Prefect's server starts; they load themselves when they are first asked.

        A finished run that is repeated finds everything in the store and needs neither.
        """
        if (self.directory.path / "findings.json").exists():
            return
        import sentence_transformers  # noqa: F401  # pyright: ignore[reportUnusedImport]
        import transformers  # noqa: F401  # pyright: ignore[reportUnusedImport]

    def prompts_of(self, pool: Pool) -> list[Prompt]:
        """The prompts of one pool, in the bank's order."""
        return [prompt for prompt in self.prompts if prompt.pool == pool]

    def capacities(self, prompts: Sequence[Prompt]) -> dict[str, int]:
        """How many pairs each prompt can give, by prompt id; those without a limit are left out."""
        held: dict[str, int] = {}
        for prompt in prompts:
            limits = [available for subject in self.subjects.values() if (available := subject.available(prompt)) is not None]
            if prompt.id in self.left_out:
                limits.append(0)  # a side did not answer it
            if limits:
                held[prompt.id] = min(limits)
        return held

    def explore_state(self) -> RoundState:
        """The state of exploring, at the start if there was no round yet."""
        if self.exploring is None:
            strata = sorted({prompt.stratum for prompt in self.prompts if prompt.pool == "explore"})
            self.exploring = RoundState.start(strata, self.config.sampling.seed)
        return self.exploring

    def confirm_state(self) -> ConfirmState:
        """The state of confirming, at the start if there was no round yet."""
        if self.confirming is None:
            self.confirming = ConfirmState.start(
                self.hypotheses,
                planned_prompts=len(self.confirm_plan.backbone),
                pool=self.confirm_strata(),
                explored=self.explored_payoffs,
                fixed=self.config.sampling.strategy == "exhaustive",
                least_chance=self.config.judge.slice if self.config.judge.strong is not None else 1.0,
            )
        return self.confirming

    def confirm_strata(self) -> dict[str, int]:
        """Prompts of the confirm pool by stratum."""
        return dict(Counter(sorted(prompt.stratum for prompt in self.prompts_of("confirm"))))

    def explored_pairs(self) -> list[Pair]:
        """All pairs drawn while exploring, in order."""
        return self._pairs_of("explore")

    def confirmed_pairs(self) -> list[Pair]:
        """All pairs drawn while confirming, in order."""
        return self._pairs_of("confirm")

    @property
    def within_money(self) -> AuditConfig:
        """The configuration; once the money is spent, one by which no language model judges any more."""
        if not self.out_of_money:
            return self.config
        return self.config.model_copy(update={"judge": self.config.judge.model_copy(update={"max_pairs": 0})})

    def peek(self, state: ConfirmState) -> None:
        """Notes whether anything would be reported now."""
        explored, alpha = self.explore_state(), self.config.inference.alpha
        self.peeks["validated"] |= bool(validated(state, explored, alpha).any())
        self.peeks["different"] |= gate_is_open(log_e_overall(state, explored, alpha), alpha)

    def _pairs_of(self, pool: Pool) -> list[Pair]:
        rounds = sorted(round for phase, round in self.pairs if phase == pool)
        return [pair for round in rounds for pair in self.pairs[pool, round]]

    def write_reused(self, run: Mapping[str, object]) -> None:
        """Brings the run.json of an audit that was taken whole from the store up to date; `run`: when that one ended, its seconds."""
        self.directory.write_json("run.json", {**self.directory.read_json("run.json"), **reused_facts(self, run)})
        self.write_ledger()

    def write_ledger(self) -> None:
        """Writes ledger.json as it stands."""
        self.directory.write_json("ledger.json", self.ledger.as_dict())

    def write_run(self) -> None:
        """Writes run.json and ledger.json as they stand."""
        self.directory.write_json("run.json", run_facts(self))
        self.write_ledger()


def workspace_at(path: str) -> Workspace:
    """The workspace that this process opened for run directory `path`.

    Raises:
        RunDirectoryError: none is open.
    """
    try:
        return _open[path]
    except KeyError:
        raise RunDirectoryError(f"{path}: no audit of this process is at work there; start it with `auto-interventions audit`") from None


def _dollars_spent(directory: RunDirectory) -> float:
    """By earlier attempts at the run, as far as its ledger was written."""
    ledger = directory.read_json("ledger.json")
    spent, before = ledger.get("all"), ledger.get("dollars_before")
    dollars = spent.get("dollars") if isinstance(spent, dict) else None
    return sum(float(value) for value in (dollars, before) if isinstance(value, int | float))
