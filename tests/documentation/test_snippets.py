"""Code in the documentation is code: YAML that the commands take, Python that parses, and where it asserts something, holds."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from auto_interventions.audit_file import parse
from auto_interventions.config import AuditConfig
from auto_interventions.errors import ConfigError
from auto_interventions.planting.plan import PlantConfig
from tests.documentation.reading import PAGES, Code, blocks, spans

SIDES: dict[str, Any] = {"base": {"model": "one"}, "intervention": {"model": "other"}, "prompts": {"path": "prompts.txt"}}
TEXTS: dict[str, Any] = {"base": {"texts": "texts.jsonl"}, "intervention": {"texts": "texts.jsonl"}}
JUDGED: dict[str, Any] = {**SIDES, "judge": {"cheap": "openai:gpt-5-mini"}}
FIELDS = set(AuditConfig.model_fields)
BLOCKS = [code for page in PAGES for code in blocks(page, "yaml")]
HEREDOCS = [
    Code(code.page, code.line, "yaml", text)
    for page in PAGES
    for code in blocks(page, "bash", "sh")
    for text in re.findall(r"<<'YAML'\n(.*?)^YAML$", code.text, flags=re.MULTILINE | re.DOTALL)
]
# Pieces of an audit file in a sentence, such as `budget: {dollars: 5}`; those with `…` leave something to the reader.
PIECES = [
    code
    for page in PAGES
    for code in spans(page)
    if re.match(rf"(?:{'|'.join(sorted(FIELDS))}): \{{.*\}}$", code.text) and "…" not in code.text and "MODEL" not in code.text
]


def read(code: Code) -> dict[str, Any]:
    """The mapping that a snippet says; placeholders in angle brackets are texts."""
    data = yaml.safe_load(re.sub(r"<(\w+)>", r"\1", code.text))
    assert isinstance(data, dict), f"{code.where}: no mapping"
    return data


@pytest.mark.parametrize("code", [*BLOCKS, *HEREDOCS], ids=lambda code: code.where)
def test_an_audit_file_would_take_it(code: Code) -> None:
    """The snippet laid over a smallest audit file is a valid one; of a plant file each part is."""
    data = read(code)
    if set(data) <= FIELDS:
        parse(AuditConfig, {"name": "snippet", **SIDES, **data}, Path(code.where))
    else:
        assert set(data) <= set(PlantConfig.model_fields), f"{code.where}: fields of no file of ours: {set(data)}"
        for name, part in data.items():
            annotation = PlantConfig.model_fields[name].annotation
            if isinstance(part, dict) and hasattr(annotation, "model_validate"):
                parse(annotation, part, Path(code.where))  # pyright: ignore[reportArgumentType, reportUnknownArgumentType]


@pytest.mark.parametrize("code", PIECES, ids=lambda code: code.where)
def test_some_audit_file_would_take_the_piece(code: Code) -> None:
    """A piece says nothing of the rest: one of three audit files takes it, of models, of recorded texts, or with a judge."""
    errors: list[ConfigError] = []
    for rest in (SIDES, TEXTS, JUDGED):
        try:
            parse(AuditConfig, {"name": "snippet", **rest, **read(code)}, Path(code.where))
        except ConfigError as error:
            errors.append(error)
    assert len(errors) < 3, errors


def test_snippets_are_seen() -> None:
    assert len(BLOCKS) >= 14
    assert HEREDOCS
    assert len(PIECES) >= 5


@pytest.mark.parametrize("code", [code for page in PAGES for code in blocks(page, "python")], ids=lambda code: code.where)
def test_python_parses_and_what_it_asserts_holds(code: Code) -> None:
    tree = ast.parse(code.text)
    if any(isinstance(node, ast.Assert) for node in ast.walk(tree)):
        exec(compile(tree, code.where, "exec"), {})
