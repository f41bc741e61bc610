"""Two audits of the same models in one folder: the file's own, and the same exhaustively; then what distinguishes them.

`folder`/active and `folder`/exhaustive are ordinary run directories. Each has a store of its own, so that neither finds the other's
texts and the seconds are honest. A run that has concluded is not run again.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from auto_interventions.comparing import Comparison, compare_runs, write_comparison
from auto_interventions.config import AuditConfig
from auto_interventions.crew import Crew
from auto_interventions.embedding import StoredEncoder, open_encoder
from auto_interventions.errors import ConfigError, RunDirectoryError
from auto_interventions.llm.secrets import ReadBlock
from auto_interventions.runs import RunDirectory, check_folder, load_run
from auto_interventions.stages.order import Counts
from auto_interventions.stages.progress import Named, Observer
from auto_interventions.stages.workspace import Workspace
from auto_interventions.stores import open_store

Arm = Literal["active", "exhaustive"]
ARMS: tuple[Arm, Arm] = ("active", "exhaustive")
_OURS = {*ARMS, *(f"store-{arm}" for arm in ARMS), "compare.json", "compare.html"}
_open: dict[str, SideBySide] = {}


@dataclass(slots=True)
class SideBySide:
    """A comparison in progress: where it is, the two audits, and in the end what distinguishes them."""

    folder: Path
    active: AuditConfig
    exhaustive: AuditConfig
    observer: Observer
    read_block: ReadBlock | None = None
    crew: Crew | None = None
    result: Comparison | None = None

    @staticmethod
    def of(
        config: AuditConfig,
        folder: Path,
        observer: Observer,
        exhaustive_texts: int | None = None,
        share_store: bool = False,
        read_block: ReadBlock | None = None,
    ) -> SideBySide:
        """The two audits of `config`; writes nothing.

        Args:
            exhaustive_texts: `max_texts` of the exhaustive audit; None: the file's.
            share_store: both use the file's store, instead of a fresh one each.
            read_block: reads the Prefect Secret blocks that hold keys of language models.

        Raises:
            ConfigError: the file's strategy is exhaustive, or the exhaustive audit would draw fewer texts than the active one may.
            RunDirectoryError: the folder holds something else.
        """
        texts = config.sampling.max_texts if exhaustive_texts is None else exhaustive_texts
        if config.sampling.strategy == "exhaustive":
            raise ConfigError(
                "`sampling.strategy` is exhaustive, and an exhaustive audit is what this command compares with; "
                "name the strategy that you want to know about, for example --set sampling.strategy=active"
            )
        if texts < config.sampling.max_texts:
            raise ConfigError(
                f"--exhaustive-texts {texts}: is fewer than `sampling.max_texts`, {config.sampling.max_texts}, of the active audit; "
                f"give at least {config.sampling.max_texts}"
            )
        folder = folder.resolve()
        check_folder(folder, _OURS.__contains__, "a comparison's")
        sampling = config.sampling.model_copy(update={"strategy": "exhaustive", "max_texts": texts})
        exhaustive = config.model_copy(update={"name": f"{config.name}, exhaustively", "sampling": sampling})
        stores = [config.store] * 2 if share_store else [str(folder / f"store-{arm}") for arm in ARMS]
        audits = [audit.model_copy(update={"store": store}) for audit, store in zip((config, exhaustive), stores, strict=True)]
        return SideBySide(folder, audits[0], audits[1], observer, read_block)

    @property
    def path(self) -> str:
        """The folder's absolute path: the name by which tasks find the comparison."""
        return str(self.folder)

    def config(self, arm: Arm) -> AuditConfig:
        """The audit of one arm."""
        return self.active if arm == "active" else self.exhaustive

    def run_folder(self, arm: Arm) -> Path:
        """The run directory of one arm."""
        return self.folder / arm

    def finished(self, arm: Arm) -> bool:
        """Whether this arm's very audit has concluded there.

        Raises:
            RunDirectoryError: the folder holds another audit.
        """
        folder = self.run_folder(arm)
        return RunDirectory.check(folder, self.config(arm)) and load_run(folder).run.get("status") == "done"

    @contextmanager
    def opened(self, arm: Arm) -> Generator[Workspace]:
        """The workspace of one arm; its clock starts here."""
        with Workspace.create(
            self.config(arm), self.run_folder(arm), Named(self.observer, f"{arm} audit"), self.read_block, self.crew
        ) as workspace:
            workspace.reuse_run = False
            workspace.warm_up()  # imports are no stage's
            workspace.equip()
            yield workspace

    @contextmanager
    def registered(self) -> Generator[SideBySide]:
        """Inside the block tasks find the comparison by its path."""
        _open[self.path] = self
        try:
            yield self
        finally:
            _open.pop(self.path, None)


def side_by_side_at(path: str) -> SideBySide:
    """The comparison that this process registered for `path`.

    Raises:
        RunDirectoryError: none is.
    """
    try:
        return _open[path]
    except KeyError:
        raise RunDirectoryError(
            f"{path}: no comparison of this process is at work there; start it with `auto-interventions compare`"
        ) from None


def compare(where: SideBySide) -> Counts:
    """Reads both runs and writes compare.json and compare.html."""
    where.observer.stage("comparing the two runs")
    store = open_store(where.exhaustive.store)
    try:
        encoder = StoredEncoder(open_encoder(where.exhaustive.embedding), store)
        where.result = compare_runs(load_run(where.run_folder("active")), load_run(where.run_folder("exhaustive")), encoder.encode)
    finally:
        store.close()
    write_comparison(where.result, where.folder)
    return {"findings": len(where.result.findings.exhaustive), "kept": where.result.findings.kept}
