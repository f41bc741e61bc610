"""`auto-interventions prompts`: what a bank would ask."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from auto_interventions.cli.completing import bank_names, fields
from auto_interventions.cli.consoles import err_console, note, out_console, print_json, tell
from auto_interventions.cli.options import Json
from auto_interventions.config_parts import around
from auto_interventions.errors import BadInput

if TYPE_CHECKING:
    from rich.table import Table

    from auto_interventions.config import AuditConfig
    from auto_interventions.stages.viewing import BankView

_AUDITS = (".yaml", ".yml")
_MOST_ROWS = 60
_LONGEST = 400


def prompts(
    what: Annotated[
        str,
        typer.Argument(
            metavar="AUDIT.yaml|BANK",
            help="An audit file, a prompt file, a published bank (mwe, truthfulqa, bold, mpi, jailbreak, xstest), or hub:DATASET.",
            show_default=False,
            autocompletion=bank_names,
        ),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="A=B", help="A field of `prompts`; of an audit file any field, as A.B=C.", autocompletion=fields),
    ] = None,
    samples: Annotated[int, typer.Option("--samples", metavar="N", min=0, help="Prompts of each stratum that are shown.")] = 1,
    embed: Annotated[bool, typer.Option("--embed", help="Make the strata of `strata: auto`, which loads the encoder.")] = False,
    ask: Annotated[bool, typer.Option("--ask", help="Have a bank of `source: generated` written now, which costs money.")] = False,
    write: Annotated[Path | None, typer.Option("--write", metavar="FILE", help="Write the prompts as JSONL.", show_default=False)] = None,
    json_output: Json = False,
) -> None:
    """Shows what would be asked: prompts by stratum and pool, what was left out, licence and source. Loads no model."""
    from auto_interventions.stages.viewing import SCHEMA

    config = _config(what, overrides or [])
    if (unknown := _unknown_yet(config, ask)) is not None:
        if json_output:
            print_json({"schema": SCHEMA, "bank": None, "why": unknown})
        else:
            tell(unknown)
        return
    view = _view(config, embed, samples)
    if write is not None:
        _write(view, write)
    if json_output:
        print_json(view.as_dict())
        return
    for line in _facts(view, config):
        tell(line)
    out_console.print(_table(view))


def _config(what: str, overrides: list[str]) -> AuditConfig:
    """The audit file; of a bank one that asks it of nobody."""
    from auto_interventions.audit_file import audit_of, load_audit
    from auto_interventions.prompts.published import BANKS

    if Path(what).suffix.lower() in _AUDITS:
        return load_audit(Path(what), overrides)
    if what in BANKS:
        bank: dict[str, Any] = {"source": what, "strata": "given"}
    elif what.startswith("hub:"):
        bank = {"source": "hub", "dataset": what.removeprefix("hub:")}
    elif Path(what).exists() or Path(what).suffix:
        bank = {"source": "file", "path": what}
    else:
        raise BadInput(
            f"{what}: is no audit file, no file of prompts and none of the banks {', '.join(BANKS)}; give one of them, or hub:ID"
        )
    fields = [override if override.startswith("prompts.") else f"prompts.{override}" for override in overrides]
    # Nobody is asked: the two sides are never opened.
    nobody = {"name": "prompts", "base": {"model": "nobody"}, "intervention": {"model": "nobody"}}
    return audit_of({**nobody, "prompts": bank}, fields, Path(what), Path.cwd())


def _unknown_yet(config: AuditConfig, ask: bool) -> str | None:
    """Why nothing can be shown: the models, or a language model, write the bank when the audit starts."""
    if config.prompts.source == "free":
        return "The two models write this bank themselves when the audit starts (`source: free`): nothing is known of it yet."
    return _unwritten(config) if config.prompts.written is not None and not ask else None


def _view(config: AuditConfig, embed: bool, samples: int) -> BankView:
    from contextlib import ExitStack

    from auto_interventions.stages import viewing
    from auto_interventions.stores import open_store
    from auto_interventions.subjects import recorded_texts

    bank, written = config.prompts, None
    if bank.written is not None:
        from auto_interventions.cli.watching import Watching

        with Watching(err_console) as watcher:
            watcher.stage(f"{bank.written.by} writes")
            written = viewing.write_bank(config)
    recorded = recorded_texts(config)
    with ExitStack() as stack:
        encode = None
        if embed and bank.strata == "auto":
            store = open_store(config.store)
            stack.callback(store.close)
            encode = viewing.encoder_of(config.embedding, store)
        return viewing.view_bank(bank, recorded, config.sampling.seed, written, encode, samples)


def _unwritten(config: AuditConfig) -> str:
    from auto_interventions.stages.estimating import writing_cost

    written = config.prompts.written
    assert written is not None
    calls, dollars = writing_cost(written)
    return (
        f"{written.by} will write this bank when the audit starts: {len(set(written.categories))} categories, {written.each} prompts each, "
        f"{calls.fewest:,.0f} to {calls.most:,.0f} calls, ${dollars.fewest:,.4f} to ${dollars.most:,.2f}. With --ask it writes it now, and "
        f"the audit finds it in the store."
    )


def _write(view: BankView, path: Path) -> None:
    if path.exists():
        raise BadInput(f"{path}: is there already; give --write another name, or remove the file")
    rows = [{"prompt": prompt.text, "stratum": prompt.stratum, **({"pool": prompt.pool} if view.made else {})} for prompt in view.prompts]
    try:
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{path}: cannot be written ({error.strerror or error}); give --write another place") from error
    note(f"Written: {path.resolve()}")


def _facts(view: BankView, config: AuditConfig) -> list[str]:
    bank, origin = view.bank, view.bank.origin
    left_out = ", ".join(f"{count:,} {reason}" for reason, count in bank.dropped.items() if count)
    pools = {pool: sum(prompt.pool == pool for prompt in view.prompts) for pool in ("explore", "confirm")}
    kept = f"{len(view.prompts):,} prompts"
    if view.made:
        kept += f": {pools['explore']:,} explore (they may suggest what is tested), {pools['confirm']:,} confirm (they only test)"
    place = origin.place + (f" at {origin.revision}" if origin.revision else "")
    told = [
        ("bank", origin.title),
        ("from", place if place != origin.title else ""),
        ("licence", origin.licence or "not known"),
        ("by", origin.cite),
        ("around each", f"{json.dumps(bank.wrap, ensure_ascii=False)} ({bank.wrap_source})" if bank.wrap else ""),
        ("read", f"{bank.read:,} rows"),
        ("left out", left_out or "none"),
        ("short", f"{bank.shortfall:,} prompts that were asked for and not written" if bank.shortfall else ""),
        ("asked", kept),
    ]
    if not view.made:
        share = f"{config.prompts.explore_share:.0%} of each stratum explore"
        told.append(("strata", f"made of the prompts' embeddings when the audit starts ({share}); --embed makes them now"))
    return [f"{name:>12}  {text}" for name, text in told if text]


def _bare(prompt: str, wrap: str) -> str:
    """Without what stands around every prompt, which is told once."""
    before, after = around(wrap)
    return prompt.removeprefix(before).removesuffix(after)


def _table(view: BankView) -> Table:
    from rich.text import Text

    from auto_interventions.report.console import titled_table
    from auto_interventions.report.plain import one_line

    table = titled_table("What is asked" if view.made or len(view.strata) > 1 else "Some of them")
    table.add_column("stratum" if view.made else "category", overflow="fold")
    table.add_column("prompts", justify="right")
    if view.made:
        table.add_column("explore", justify="right")
        table.add_column("confirm", justify="right")
    table.add_column("for example", overflow="fold")
    largest = sorted(view.strata, key=lambda one: -one.prompts)[:_MOST_ROWS]
    for one in view.strata:
        if one not in largest:
            continue
        counts = [one.prompts, one.explore, one.confirm] if view.made else [one.prompts]
        shown = "\n".join(one_line(_bare(sample, view.bank.wrap), _LONGEST) for sample in one.samples)
        table.add_row(Text(one_line(one.name, 60)), *(f"{count or 0:,}" for count in counts), Text(shown))
    if len(view.strata) > _MOST_ROWS:
        table.caption = f"The {_MOST_ROWS} largest of {len(view.strata):,}; --json has all."
    return table
