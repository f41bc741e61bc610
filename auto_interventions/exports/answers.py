"""A run that answers its own questions: what `auto_interventions.load` and `auto_interventions.audit` give.

Everything is read from the run directory when it is first asked for; nothing here runs a model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from auto_interventions.errors import RunDirectoryError
from auto_interventions.exports import written
from auto_interventions.exports.frames import claim, effects_frame, findings_frame, ledger_frame, ordered, rounds_frame
from auto_interventions.exports.safe_frames import SafeFrame
from auto_interventions.exports.shown import pairs_of, shown
from auto_interventions.report import wording
from auto_interventions.runs import Run, load_run

_NEAR = 5


class AuditRun:
    """A finished, stopped or running audit.

    The tables are pandas frames with the texts as the models wrote them; whatever shows itself (a frame, `verdict`, `to_markdown()`, in a
    notebook or on a terminal) is made safe to look at. `run` is the run directory as dictionaries.
    """

    def __init__(self, run: Run) -> None:
        self.run = run

    @classmethod
    def at(cls, path: str | Path) -> AuditRun:
        """The run in directory `path`.

        Raises:
            RunDirectoryError: it is not a run directory, or a file in it is damaged.
        """
        return cls(load_run(Path(path)))

    @property
    def path(self) -> Path:
        """The run directory."""
        return self.run.path

    @property
    def name(self) -> str:
        """The audit's name."""
        return str(self.run.run.get("name", ""))

    @property
    def status(self) -> str:
        """done; stopped (by a budget); running; interrupted."""
        return str(self.run.run.get("status", ""))

    @property
    def models(self) -> tuple[str, str]:
        """What base and intervention are called."""
        return str(self.run.run.get("base", "")), str(self.run.run.get("intervention", ""))

    @property
    def alpha(self) -> float | None:
        """The error rate that the findings keep; None while the audit has not concluded."""
        return self.run.findings.get("alpha")

    @property
    def verdict(self) -> wording.Verdict:
        """The answer: `kind`, `headline` and `detail`; printed, both sentences, safe on a terminal."""
        verdict = wording.verdict(self.run.findings)
        return replace(verdict, headline=written.plainly(verdict.headline), detail=written.plainly(verdict.detail))

    @property
    def guarantee(self) -> str:
        """What the error rate is about, in words."""
        return str(self.run.findings.get("guarantee", ""))

    @cached_property
    def findings(self) -> pd.DataFrame:
        """One row a sentence that was ever tested: validated ones first, the largest first. Rates and differences are shares."""
        return SafeFrame(findings_frame(self.run))

    @property
    def validated(self) -> pd.DataFrame:
        """The findings that held."""
        return self.findings[self.findings["status"] == "validated"].reset_index(drop=True)

    @cached_property
    def by_stratum(self) -> pd.DataFrame:
        """One row a finding and stratum: where each happens."""
        return SafeFrame(effects_frame(self.run))

    @cached_property
    def rounds(self) -> pd.DataFrame:
        """One row a round: texts and evidence so far."""
        return SafeFrame(rounds_frame(self.run))

    @cached_property
    def ledger(self) -> pd.DataFrame:
        """One row a stage: texts, tokens, seconds, calls, dollars."""
        return SafeFrame(ledger_frame(self.run))

    @property
    def texts(self) -> pd.DataFrame:
        """One row a text."""
        return SafeFrame(self.run.texts)

    @property
    def strata(self) -> pd.DataFrame:
        """One row a stratum of prompts: how much the models differ there."""
        return SafeFrame(self.run.strata)

    @property
    def clusters(self) -> pd.DataFrame:
        """One row a cluster of explored texts: its shares under both models."""
        return SafeFrame(self.run.clusters)

    def finding(self, which: str) -> dict[str, Any]:
        """One finding as findings.json has it.

        Args:
            which: its id, its sentence, or a part of it that no other finding's has.

        Raises:
            RunDirectoryError: none, or several, are so called.
        """
        known = ordered(self.run)
        exact = [one for one in known if which in (one["id"], one["statement"], claim(one))]
        found = exact or [one for one in known if which in claim(one)]
        if len(found) == 1:
            return found[0]
        if not found:
            raise RunDirectoryError(f"{self.path}: no finding is called `{which}`; see `.findings` for their ids")
        near = ", ".join(f"{one['id']} ({claim(one)})" for one in found[:_NEAR])
        raise RunDirectoryError(f"{self.path}: `{which}` is part of {len(found)} findings; name one by its id: {near}")

    def sentence(self, which: str) -> str:
        """One finding in one sentence, with its size and interval. `which`: as for `finding`."""
        return written.plainly(wording.sentence(self.finding(which), self.alpha or 0.05))

    def pairs(self, which: str | None = None) -> pd.DataFrame:
        """Both models' texts, one row a pair, in the order of asking.

        Args:
            which: a finding, as for `finding`: adds `base_shows` and `intervention_shows`, how well each text fits its sentence, in [0, 1]
                (NaN: nobody judged), and sorts the pairs that speak for it to the top.
        """
        pairs = SafeFrame(pairs_of(self.run))
        if which is None:
            return pairs
        finding = self.finding(which)
        scores = shown(self.run, pairs, [finding])[0]
        pairs["base_shows"], pairs["intervention_shows"] = scores.T
        payoff = scores[:, 1] - scores[:, 0] if finding["more_in"] == "intervention" else scores[:, 0] - scores[:, 1]
        order = pd.Series(payoff).sort_values(ascending=False, kind="stable", na_position="last").index
        return pairs.loc[order].reset_index(drop=True)

    def to_markdown(self) -> str:
        """The verdict and the validated findings as Markdown."""
        return written.markdown(self.run)

    def to_latex(self) -> str:
        """The validated findings as a LaTeX table (booktabs)."""
        return written.latex(self.run)

    def export(self, to: str, out: str | Path | None = None) -> Path:
        """Writes the run in another format; the path of what was written. Formats: docs/exports.md.

        Raises:
            ConfigError: no such format.
            RunDirectoryError: the audit has not concluded, or `out` holds something else.
        """
        from auto_interventions.exports.formats import export_run

        return export_run(self.run, to, None if out is None else Path(out))

    def settings(self) -> Mapping[str, Any]:
        """The audit file as it was run, defaults included."""
        return self.run.run.get("config") or {}

    def _repr_html_(self) -> str:
        return written.html(self.run)

    def __repr__(self) -> str:
        return f"AuditRun({str(self.path)!r}, {self.status}): {self.verdict.headline}"
