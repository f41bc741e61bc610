"""The bank, whatever it comes from: read, chosen from, wrapped.

Two prompts that differ in white space or case only are one prompt: their answers would not be independent, and one might land in
the explore pool and the other in the confirm pool. Copies are looked for before anything is put around the prompts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from auto_interventions.config import PromptsConfig
from auto_interventions.config_parts import PLACE
from auto_interventions.errors import PromptError
from auto_interventions.prompts.choosing import chosen
from auto_interventions.prompts.files import read_bank
from auto_interventions.prompts.hub import HubFiles, hub_files, licence_in, table_files
from auto_interventions.prompts.published import BANKS, find_files, origin_of
from auto_interventions.prompts.rows import Bank, BankRow, Origin
from auto_interventions.prompts.written import WrittenRows
from auto_interventions.records import Prompt
from auto_interventions.subjects import RecordedTexts


def load_prompts(
    config: PromptsConfig, recorded: Sequence[RecordedTexts] = (), seed: int = 0, written: WrittenRows | None = None
) -> list[Prompt]:
    """The prompts of `load_bank`."""
    return load_bank(config, recorded, seed, written).prompts


def load_bank(config: PromptsConfig, recorded: Sequence[RecordedTexts] = (), seed: int = 0, written: WrittenRows | None = None) -> Bank:
    """The bank as it is asked, in the order of its files; the first of equal prompts is kept.

    Args:
        config: where it is, what of it is asked, what is put around the prompts.
        recorded: the recorded texts of the audit's sides; every prompt that is asked must be answered there.
        seed: of the choices that caps make. A prompt's chance does not depend on the others', so a grown bank keeps most of it.
        written: what a language model wrote, where `config.source` is `generated`.

    Returns:
        Prompts with `stratum` as the bank gives it, "" where it gives none; where they come from; what was left out.

    Raises:
        PromptError: no such file or data set, no such column, an empty prompt, no prompts, all alike, a stratum missing where `strata:
            given`, no such category, or a prompt that a side's recorded texts do not hold.
    """
    rows, origin = _rows(config, recorded, written)
    where = origin.place
    if config.strata == "given":
        _check_strata(rows, where, mendable=config.source in ("file", "recorded"))
    kept, dropped = chosen(rows, config, seed, where)
    if not kept:
        raise PromptError(f"{where}: holds no prompts; write one a line, or rows with a column `prompt`")
    looked_at = len(rows) - dropped["empty"] - dropped["of other categories"]
    if looked_at > 1 and looked_at - dropped["alike"] == 1:
        raise PromptError(f"{where}: all {looked_at} prompts are alike ({_cut(kept[0].text)}); give prompts that differ")
    wrap, wrap_source = _wrap_of(config)
    prompts = [Prompt(_wrapped(row.text, config), row.stratum) for row in kept]
    _check_recorded(prompts, recorded, where)
    return Bank(prompts, origin, len(rows), dropped, wrap, wrap_source, written.shortfall if written is not None else 0)


def bank_files(config: PromptsConfig) -> tuple[Path, ...]:
    """The files that decide the bank; none where it comes from recorded texts or a model.

    Raises:
        PromptError: as `load_bank`.
    """
    if config.source == "file":
        return (Path(str(config.path)),)
    if config.source in BANKS:
        return find_files(config).paths
    return _hub_tables(config)[0].paths if config.source == "hub" else ()


def _rows(config: PromptsConfig, recorded: Sequence[RecordedTexts], written: WrittenRows | None) -> tuple[list[BankRow], Origin]:
    if config.source == "recorded":
        if not recorded:
            raise PromptError("`prompts.source: recorded` needs recorded `texts` on a side; give `source: file` and a `path`")
        first = recorded[0]
        rows = [BankRow(text, first.strata.get(text, "")) for text in first.texts[first.roles[0]]]
        return rows, Origin("the prompts of the recorded texts", str(first.path))
    if config.source == "generated":
        if written is None:
            raise PromptError("`prompts.source: generated`: the bank is written when the audit starts; nothing is known of it before")
        return list(written.rows), written.origin
    if config.source == "hub":
        files, licence = _hub_tables(config)
        rows = [row for path in files.paths for row in read_bank(path, config.column, config.stratum_column, mendable=False)]
        address = f"https://huggingface.co/datasets/{config.dataset}"
        return rows, Origin(str(config.dataset), f"hub:{config.dataset}", files.revision, licence, address=address)
    if config.source in BANKS:
        files = find_files(config)
        rows = [row for path in files.paths for row in BANKS[config.source].read(path)]
        return rows, origin_of(config, files)
    path = Path(str(config.path))
    return read_bank(path, config.column, config.stratum_column), Origin(path.name, str(path))


def _hub_tables(config: PromptsConfig) -> tuple[HubFiles, str]:
    """The tables of a data set of the hub, and the licence that its card names."""
    dataset, card = str(config.dataset), "README.md"

    def choose(names: Sequence[str]) -> list[str]:
        return [*table_files(dataset, names, config.dataset_file), *([card] if card in names else [])]

    files = hub_files(dataset, config.dataset_revision, choose)
    tables = tuple(path for path in files.paths if path.name != card)
    return HubFiles(tables, files.revision), next((licence_in(path) for path in files.paths if path.name == card), "")


def _wrap_of(config: PromptsConfig) -> tuple[str, str]:
    if config.wrap is not None:
        return config.wrap, "the audit file"
    bank = BANKS.get(config.source)
    return (bank.form, bank.form_source) if bank is not None and bank.form != PLACE else ("", "")


def _wrapped(text: str, config: PromptsConfig) -> str:
    if config.wrap is not None:
        return config.wrap.replace(PLACE, text)
    return BANKS[config.source].formed(text) if config.source in BANKS else text


def _check_strata(rows: Sequence[BankRow], where: str, mendable: bool) -> None:
    """Every row has one; where the user can mend it, equal prompts have equal ones (else the first row's counts)."""
    strata: dict[str, str] = {}
    for row in rows:
        if not row.stratum.strip() and row.text.strip():
            raise PromptError(
                f"{where}: the prompt {_cut(row.text)} has no `stratum`, which `strata: given` needs; add it, or use `strata: auto`"
            )
        if mendable and strata.setdefault(row.text, row.stratum) != row.stratum:
            raise PromptError(f"{where}: the prompt {_cut(row.text)} is in `stratum` {strata[row.text]!r} and in {row.stratum!r}; keep one")


def _check_recorded(prompts: Sequence[Prompt], recorded: Sequence[RecordedTexts], where: str) -> None:
    for file in recorded:
        for role in file.roles:
            lone = [prompt for prompt in prompts if prompt.text not in file.texts[role]]
            if lone:
                more = f" (and {len(lone) - 1} more)" if len(lone) > 1 else ""
                raise PromptError(
                    f"{where}: the prompt {_cut(lone[0].text)}{more} has no text with `model` {role} in {file.path}; "
                    f"record it, or remove the prompt"
                )


def _cut(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:59] + "…")
