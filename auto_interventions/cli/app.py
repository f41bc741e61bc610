"""The command line. Progress goes to stderr, results to stdout; `ending` lists the exit codes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer

from auto_interventions.cli.calibrate import calibrate
from auto_interventions.cli.completing import complete_from_the_first_tab
from auto_interventions.cli.consoles import complain, err_console, out_console, print_json, tell
from auto_interventions.cli.deploy import deploy, serve
from auto_interventions.cli.diff import diff
from auto_interventions.cli.ending import interruptible, main_of
from auto_interventions.cli.export import export
from auto_interventions.cli.matrix import matrix
from auto_interventions.cli.options import AuditFile, Commands, Json, Overrides, RunFolder, Runner
from auto_interventions.cli.presets import presets
from auto_interventions.cli.prompts import prompts
from auto_interventions.cli.store import app as store_app
from auto_interventions.cli.weights import weights

if TYPE_CHECKING:
    from auto_interventions.runs import Run

app = Commands(
    help="Somebody changed a language model. What else changed?",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command()
def audit(
    file: AuditFile,
    out: Annotated[Path | None, typer.Option("--out", help="Run directory; default: runs/NAME.", show_default=False)] = None,
    overrides: Overrides = None,
    runner: Runner = "threads",
    control: Annotated[
        Literal["null", "swap"] | None,
        typer.Option("--control", help="null: the base against itself; swap: base and intervention change places.", show_default=False),
    ] = None,
    json_output: Json = False,
) -> None:
    """Audits an intervention: the main job. Starting it again resumes it."""
    from auto_interventions.audit_file import load_audit
    from auto_interventions.cli.watching import Watcher
    from auto_interventions.flows.starting import start_audit
    from auto_interventions.report.console import audit_dict, findings_table, verdict_text
    from auto_interventions.runs import load_run

    config = load_audit(file, overrides)
    folder = out or Path("runs") / (config.name if control is None else f"{config.name}-{control}")
    if control is not None:
        from auto_interventions.calibrating import controlled

        config = controlled(config, control, folder.parent / f"{folder.name}-texts")
    with interruptible("audit", folder), Watcher(err_console, config) as watcher:
        status = start_audit(config, folder, watcher, runner)
    run = load_run(folder)
    if json_output:
        print_json(audit_dict(run))
    else:
        out_console.print(findings_table(run.findings))
        out_console.print(verdict_text(run.findings))
        tell(f"Report: {(folder / 'report.html').resolve()}")
    if status == "stopped":
        _stopped_early(run)


def _stopped_early(run: Run) -> NoReturn:
    complain(f"Stopped early: {run.run['stopped_because']}")
    raise typer.Exit(3)


@app.command()
def estimate(
    file: AuditFile,
    overrides: Overrides = None,
    measure: Annotated[bool, typer.Option(help="Draw a few texts to know how fast this machine is.")] = True,
    json_output: Json = False,
) -> None:
    """Texts, tokens, time and dollars of an audit, before anything is spent."""
    import tempfile

    from auto_interventions.audit_file import load_audit
    from auto_interventions.cli.estimates import estimate_table
    from auto_interventions.cli.watching import Watching
    from auto_interventions.stages.checking import check_files
    from auto_interventions.stages.estimating import estimate as compute

    config = load_audit(file, overrides)
    with tempfile.TemporaryDirectory() as empty:
        check_files(config, Path(empty))
    with Watching(err_console) as watcher:
        found = compute(config, measure, watcher.stage)
    if json_output:
        print_json(found.as_dict())
    else:
        out_console.print(estimate_table(found))


@app.command()
def compare(
    file: AuditFile,
    out: Annotated[Path | None, typer.Option("--out", help="Folder of both runs; default: runs/NAME-compare.", show_default=False)] = None,
    overrides: Overrides = None,
    exhaustive_texts: Annotated[
        int | None, typer.Option("--exhaustive-texts", metavar="N", help="Texts of the exhaustive audit; default: the file's max_texts.")
    ] = None,
    share_store: Annotated[bool, typer.Option("--share-store", help="Use the file's store for both, instead of a fresh one each.")] = False,
    runner: Runner = "threads",
    json_output: Json = False,
) -> None:
    """The same audit actively and exhaustively: what was saved, and what was kept. Starting it again resumes it."""
    from auto_interventions.audit_file import load_audit
    from auto_interventions.cli.watching import Watcher
    from auto_interventions.comparing import comparison_summary, comparison_tables
    from auto_interventions.flows.starting import start_comparison

    config = load_audit(file, overrides)
    folder = out or Path("runs") / f"{config.name}-compare"
    with interruptible("comparison", folder), Watcher(err_console, config) as watcher:
        result = start_comparison(config, folder, watcher, exhaustive_texts, share_store, runner)
    if json_output:
        print_json(result.as_dict())
    else:
        for table in comparison_tables(result):
            out_console.print(table)
        out_console.print(comparison_summary(result))
        tell(f"Comparison: {(folder / 'compare.html').resolve()}")
    if "stopped" in result.statuses:
        raise typer.Exit(3)


@app.command()
def report(folder: RunFolder, json_output: Json = False) -> None:
    """Rebuilds report.html from the files of a run."""
    from auto_interventions.report import build_report

    page = build_report(folder).resolve()
    if json_output:
        print_json({"report": str(page)})
    else:
        tell(f"Report: {page}")


@app.command()
def score(
    folder: RunFolder,
    truth: Annotated[Path, typer.Argument(metavar="TRUTH.yaml", help="Known behaviours, as `plant` writes them.", show_default=False)],
    embedding: Annotated[bool, typer.Option("--embedding", help="Also match sentences by their embeddings.")] = False,
    judge: Annotated[
        str | None,
        typer.Option("--judge", metavar="PROVIDER:MODEL", help="Also have a language model match them.", show_default=False),
    ] = None,
    json_output: Json = False,
) -> None:
    """Recall and realised false discovery rate of a run against known behaviours."""
    from auto_interventions.planting import matcher, score_table
    from auto_interventions.planting import score as compute

    with matcher(judge) as asker:
        result = compute(folder, truth, embedding, asker)
    if json_output:
        print_json(result.as_dict())
    else:
        out_console.print(score_table(result))


@app.command()
def plant(
    file: Annotated[Path, typer.Argument(metavar="PLANT.yaml", help="What to plant (docs/planting.md).", show_default=False)],
    only: Annotated[list[str] | None, typer.Option("--only", metavar="NAME", help="Only these interventions.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Make anew what is there already, too.")] = False,
    json_output: Json = False,
) -> None:
    """Makes interventions with known behaviours, and measures what they really show."""
    from auto_interventions.cli.watching import PlantWatcher
    from auto_interventions.planting import plant as make

    with interruptible("planting"), PlantWatcher(err_console) as watcher:
        truth = make(file, only=only or (), progress=watcher, again=again)
    if json_output:
        print_json({"truth": str(truth.resolve())})
    else:
        tell(f"Truth: {truth.resolve()}")


# After the main ones, so that `--help` lists these below them.
app.command()(prompts)
app.command()(presets)
app.command()(calibrate)
app.command()(diff)
app.command()(matrix)
app.command()(export)
app.command()(weights)
app.command()(serve)
app.command()(deploy)
app.add_typer(store_app, name="store")


def main() -> NoReturn:
    """The `auto-interventions` command."""
    complete_from_the_first_tab()
    main_of(app)
