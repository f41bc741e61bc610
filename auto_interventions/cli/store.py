"""`auto-interventions store`: what the store holds, removing, moving to another store or to a file."""

from __future__ import annotations

import difflib
import re
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from auto_interventions.cli.completing import kinds as kinds_of
from auto_interventions.cli.consoles import err_console, out_console, print_json, tell
from auto_interventions.cli.ending import interruptible
from auto_interventions.cli.options import Commands, Json
from auto_interventions.errors import BadInput
from auto_interventions.locations import EMBEDDED, seconds_of

if TYPE_CHECKING:
    from auto_interventions.stores import Store
    from auto_interventions.stores.upkeep import Selection, Survey

app = Commands(help="What the store holds; removing, and moving it elsewhere.", no_args_is_help=True)

KINDS = ("vector", "generation", "likelihood", "reply", "weights", "run", "file", "stats", "other")

Location = Annotated[
    str,
    typer.Argument(metavar="[LOCATION]", help="What `store` in an audit file says: embedded, a folder, redis://…; or a .sqlite3 file."),
]
Kinds = Annotated[
    list[str] | None, typer.Option("--kind", metavar="KIND", help="Only this kind: vector, generation, …", autocompletion=kinds_of)
]
Models = Annotated[list[str] | None, typer.Option("--model", metavar="NAME", help="Only what this model made: its name, or its digits.")]
Newer = Annotated[str | None, typer.Option("--newer-than", metavar="AGE", help="Only what was written since: 12h, 30d, 8w.")]


@app.command()
def stats(
    location: Location = EMBEDDED,
    json_output: Json = False,
    runs: Annotated[int, typer.Option("--runs", metavar="N", min=0, help="How many of the last runs.")] = 10,
) -> None:
    """Size by kind and model, and what the last runs found there."""
    from auto_interventions.cli import store_tables as tables
    from auto_interventions.stores.places import file_of, open_existing
    from auto_interventions.stores.upkeep import Survey, survey

    file = file_of(location)
    if location == EMBEDDED and file is not None and not file.exists():
        found, engine, shown = Survey(), tables.Figures(), str(file)
    else:
        with closing(open_existing(location)) as store:
            found, engine, shown = survey(store), tables.engine_figures(store), store.location
    if json_output:
        print_json(tables.as_dict(shown, found, engine, runs))
        return
    tell(f"Store: {shown}")
    if not found.total.entries:
        tell("It is empty: no audit has kept anything there yet.")
        return
    out_console.print(tables.sizes_table(found))
    for line in tables.engine_lines(engine):
        tell(line)
    if found.runs and runs:
        out_console.print(tables.runs_table(found.runs[:runs], len(found.runs)))


@app.command()
def prune(
    location: Location = EMBEDDED,
    older_than: Annotated[
        str | None, typer.Option("--older-than", metavar="AGE", help="Only what was written before: 12h, 30d, 8w.")
    ] = None,
    models: Models = None,
    kinds: Kinds = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be removed.")] = False,
    json_output: Json = False,
) -> None:
    """Removes entries by age, model or kind. What is needed again is computed again."""
    from auto_interventions.cli import store_tables as tables
    from auto_interventions.cli.watching import EntryWatcher
    from auto_interventions.stores.places import open_existing
    from auto_interventions.stores.upkeep import prune as remove
    from auto_interventions.stores.upkeep import survey

    if not (older_than or models or kinds):
        raise BadInput("store prune: nothing says what to remove; give --older-than AGE, --model NAME or --kind KIND")
    with closing(open_existing(location)) as store:
        selection = _selection(store, kinds, models, older_than=older_than)
        found = survey(store, selection)
        removed = 0
        if found.total.entries and not json_output:
            out_console.print(tables.sizes_table(found, "To be removed"))
        if found.total.entries and not dry_run and (yes or _agreed(found)):
            with interruptible("removal"), EntryWatcher(err_console) as watcher:
                watcher.stage("removing", found.total.entries)
                removed = remove(store, selection, watcher.advance)
                watcher.stage("giving the space back")
                store.compact()
        shown = store.location
    if json_output:
        print_json({"schema": "auto-interventions/pruned@1", "location": shown, "meant": found.total.entries, "removed": removed})
    elif not found.total.entries:
        tell("Nothing to remove: no entry is meant.")
    else:
        tell(f"Removed {removed:,} entries." if removed else "Nothing was removed.")


@app.command()
def export(
    places: Annotated[
        list[str],
        typer.Argument(metavar="[LOCATION] TARGET", help="From where (default: embedded); to where: a .sqlite3 file, a folder, redis://…"),
    ],
    kinds: Kinds = None,
    models: Models = None,
    newer_than: Newer = None,
    json_output: Json = False,
) -> None:
    """Copies the store to a file or to another store. Repeated, it goes on where it broke off."""
    if len(places) > 2:
        raise BadInput(f"store export: takes a location and a target, not {len(places)} places; quote paths that hold spaces")
    source, target = (EMBEDDED, places[0]) if len(places) == 1 else places
    _copy(source, target, kinds, models, newer_than, json_output)


@app.command(name="import")
def import_(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A .sqlite3 file, a folder, redis://…", show_default=False)],
    location: Location = EMBEDDED,
    kinds: Kinds = None,
    models: Models = None,
    newer_than: Newer = None,
    json_output: Json = False,
) -> None:
    """Copies a file or another store into the store. Repeated, it goes on where it broke off."""
    _copy(source, location, kinds, models, newer_than, json_output)


def _copy(source: str, target: str, kinds: list[str] | None, models: list[str] | None, newer_than: str | None, json_output: bool) -> None:
    from rich.filesize import decimal

    from auto_interventions.cli.watching import EntryWatcher
    from auto_interventions.stores.places import check_apart, open_existing, open_target
    from auto_interventions.stores.upkeep import move, survey

    check_apart(source, target)
    with closing(open_existing(source)) as here:
        selection = _selection(here, kinds, models, newer_than=newer_than)
        wanted = survey(here, selection).total
        if not wanted.entries:
            raise BadInput(f"{here.location}: holds nothing of what is meant; see `auto-interventions store stats {source}`")
        with closing(open_target(target)) as there, interruptible("copying"), EntryWatcher(err_console) as watcher:
            watcher.stage(f"copying {decimal(wanted.bytes)}", wanted.entries)
            moved = move(here, there, selection, watcher.advance)
            watcher.stage("tidying up")
            there.compact()
            shown = there.location
    if json_output:
        print_json({"schema": "auto-interventions/copied@1", "target": shown, **asdict(moved)})
        return
    already = f"; {moved.present:,} were there already" if moved.present else ""
    gone = f"; {moved.gone:,} went away meanwhile" if moved.gone else ""
    tell(f"Copied {moved.entries:,} entries ({decimal(moved.bytes)}) to {shown}{already}{gone}.")


def _selection(
    store: Store, kinds: Iterable[str] | None, models: Iterable[str] | None, older_than: str | None = None, newer_than: str | None = None
) -> Selection:
    """What the options mean in this store.

    Raises:
        BadInput: an age that is none, a kind or model that there is not.
    """
    from auto_interventions.stores.upkeep import Selection

    now = int(time.time())
    before = now - _age(older_than, "--older-than") if older_than else None
    since = now - _age(newer_than, "--newer-than") if newer_than else None
    for kind in kinds or ():
        if kind not in KINDS:
            _unknown("--kind", kind, KINDS)
    return Selection(frozenset(kinds or ()), frozenset(_digits(store, models)) if models else None, before, since)


def _digits(store: Store, wanted: Iterable[str]) -> set[str]:
    """The digits of the models that are called, or begin, so."""
    from auto_interventions.stores.upkeep import model_names

    names = model_names(store)
    chosen: set[str] = set()
    for name in wanted:
        called = {
            model for model, own in names.items() if name in own or (re.fullmatch(r"[0-9a-f]{6,12}", name) and model.startswith(name))
        }
        if re.fullmatch(r"[0-9a-f]{12}", name):
            called.add(name)  # a model without a name
        if not called:
            _unknown("--model", name, sorted({name for own in names.values() for name in own}))
        chosen |= called
    return chosen


def _unknown(option: str, given: str, known: Iterable[str]) -> NoReturn:
    held = list(known)
    near = difflib.get_close_matches(given, held, n=1, cutoff=0.0)
    hint = f"did you mean `{near[0]}`?" if near else "the store names none"
    raise BadInput(f"{option} {given}: there is no such {option.removeprefix('--')}; {hint}")


def _age(text: str, option: str) -> int:
    try:
        return seconds_of(text)
    except ValueError as error:
        raise BadInput(f"{option} {error}") from None


def _agreed(found: Survey) -> bool:
    from rich.filesize import decimal

    try:
        return typer.confirm(f"Remove these {found.total.entries:,} entries ({decimal(found.total.bytes)})?", err=True)
    except typer.Abort:  # nobody is there to answer
        typer.echo(err=True)
        raise BadInput("store prune: nobody answered, so nothing was removed; give --yes to remove without asking") from None
