from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from auto_interventions.config import AuditConfig, SubjectConfig
from auto_interventions.errors import SubjectError
from auto_interventions.records import ROLES, Prompt
from auto_interventions.subjects import RecordedSubject, RecordedTexts, Request, check_subject, recorded_texts

ROWS = [
    {"model": model, "prompt": prompt, "text": f"{model} {number}{ending}", "stratum": stratum}
    for prompt, stratum in (("One day ", "time"), ("NA", "code"), ('He said, "hi"\nand\r\nleft', "talk"))
    for model in ("base", "intervention")
    for number, ending in enumerate(("", " ", "\n", ",", '"', "\r\n", "\t", "é", "null"))
] + [{"model": "base", "prompt": "NA", "text": "", "stratum": "code"}, {"model": "base", "prompt": "NA", "text": "NaN", "stratum": "code"}]


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    pd.DataFrame(rows).to_csv(path, index=False, lineterminator="\r\n")


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_bytes("\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode())


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    pd.DataFrame(rows).to_parquet(path)


WRITERS: dict[str, Callable[[Path, list[dict[str, Any]]], None]] = {"csv": write_csv, "jsonl": write_jsonl, "parquet": write_parquet}
kinds = pytest.mark.parametrize("kind", list(WRITERS))


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def save(rows: list[dict[str, Any]], kind: str = "jsonl", name: str = "recorded") -> Path:
        path = tmp_path / f"{name}.{kind}"
        WRITERS[kind](path, rows)
        return path

    return save


def refuses(path: Path, match: str) -> None:
    with pytest.raises(SubjectError, match=match) as caught:
        RecordedTexts.read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@kinds
def test_texts_are_kept_byte_for_byte(write: Any, kind: str) -> None:
    recorded = RecordedTexts.read(write(ROWS, kind))
    kept = {(role, prompt, text) for role in recorded.roles for prompt, texts in recorded.texts[role].items() for text in texts}
    assert kept == {(row["model"], row["prompt"], row["text"]) for row in ROWS}
    assert recorded.strata == {row["prompt"]: row["stratum"] for row in ROWS}


def test_a_side_gives_each_text_once_in_a_seeded_order(write: Any) -> None:
    recorded = RecordedTexts.read(write(ROWS))
    prompt = Prompt("One day ")
    subject = RecordedSubject(recorded, "base", 0, "base")
    assert subject.available(prompt) == 9
    assert subject.available(Prompt("unseen")) == 0
    whole = [text.text for text in subject.generate([Request(prompt, 0, 9)])]
    assert sorted(whole) == sorted(recorded.texts["base"]["One day "])
    finished: list[int] = []
    parts = subject.generate([Request(prompt, 4, 3), Request(prompt, 0, 2)], finished.append)
    assert [(text.sample, text.text) for text in parts] == [(number, whole[number]) for number in (4, 5, 6, 0, 1)]
    assert finished == [5]
    assert all(text.finished and text.tokens == 0 and text.role == "base" for text in parts)
    others = [RecordedSubject(recorded, "base", seed, "base").generate([Request(prompt, 0, 9)]) for seed in range(1, 4)]
    assert any([text.text for text in other] != whole for other in others)
    mirror = RecordedSubject(recorded, "intervention", 0, "x").generate([Request(prompt, 0, 9)])
    mirrored = [text.text.replace("intervention", "base") for text in mirror]
    assert mirrored != whole  # the two sides' orders are independent


def test_orders_are_uniform(write: Any) -> None:
    recorded = RecordedTexts.read(write(ROWS))
    firsts = [RecordedSubject(recorded, "base", seed, "base").generate([Request(Prompt("One day "), 0, 1)])[0].text for seed in range(900)]
    counts = [firsts.count(text) for text in recorded.texts["base"]["One day "]]
    assert sum((count - 100) ** 2 / 100 for count in counts) < 26.1  # chi-square, 8 degrees of freedom, 0.1%


def test_asking_for_more_than_there_is(write: Any) -> None:
    subject = RecordedSubject(RecordedTexts.read(write(ROWS)), "base", 0, "base")
    with pytest.raises(SubjectError, match=r"holds 9 texts of base for the prompt 'One day ', so sample 9 does not exist"):
        subject.generate([Request(Prompt("One day "), 0, 10)])


def test_fingerprint_is_file_and_role(write: Any) -> None:
    one, two = RecordedTexts.read(write(ROWS)), RecordedTexts.read(write(ROWS[::-1], name="other"))
    prints = {RecordedSubject(file, role, 0, "x").fingerprint for file in (one, two) for role in ("base", "intervention")}
    assert len(prints) == 4
    assert RecordedSubject(one, "base", 5, "y").fingerprint in prints


@kinds
@pytest.mark.parametrize("column", ["model", "prompt", "text"])
def test_a_missing_column(write: Any, kind: str, column: str) -> None:
    path = write([{key: value for key, value in row.items() if key != column} for row in ROWS], kind)
    refuses(path, rf"has no column `{column}` \(it has .*stratum.*\); add it")


@kinds
def test_an_empty_file(write: Any, kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"empty.{kind}"
    path.touch()
    refuses(
        path, r"is not a readable Parquet file" if kind == "parquet" else r"holds no rows; give a file with columns model, prompt, text"
    )
    if kind == "csv":
        path.write_text("model,prompt,text\n")
        refuses(path, r"holds no rows")


@kinds
def test_a_missing_text(write: Any, kind: str) -> None:
    for missing in (None, float("nan")):
        if kind == "csv":
            continue  # an empty field is an empty text there
        path = write([*ROWS, {"model": "base", "prompt": "NA", "text": missing, "stratum": "code"}], kind)
        refuses(path, r"(line|row) 57: `text` is missing \(null or NaN\)")


def test_an_unknown_model_and_a_number_as_text(write: Any) -> None:
    refuses(write([*ROWS, {**ROWS[0], "model": "Base"}]), r"line 57: `model` is 'Base'; it must be base or intervention")
    refuses(write([*ROWS, {**ROWS[0], "text": 3}]), r"line 57: `text` is '3', not a text; put it in quotes")


@kinds
def test_a_prompt_seen_for_one_model_only_is_named_and_cut(write: Any, kind: str) -> None:
    lone = {"model": "intervention", "prompt": "Why " * 40, "text": "Because.", "stratum": "code"}
    path = write([*ROWS, lone, {**lone, "prompt": "Who?"}], kind)
    refuses(path, r"the prompt '(Why ){14}Why…' \(and 1 more\) has texts with `model` intervention but none with base; record both")


def test_one_side_has_no_text_or_only_empty_ones(write: Any) -> None:
    refuses(write([row for row in ROWS if row["model"] == "base"]), r"holds no row with `model` intervention")
    silent = [{**row, "text": " \n"} if row["model"] == "base" else row for row in ROWS]
    refuses(write(silent, name="silent"), r"every `text` with `model` base is empty")


def test_not_utf8_not_json_not_csv_not_a_table(tmp_path: Path) -> None:
    for name, content, match in (
        ("a.jsonl", '{"model": "base", "prompt": "é"'.encode("latin-1"), r"is not UTF-8 text \(byte 29\); save it as UTF-8"),
        ("a.csv", "model,prompt,text\nbase,é,x\n".encode("latin-1"), r"is not UTF-8 text"),
        ("b.jsonl", b'{"model": "base"}\n{"model": ', r"line 2: is not valid JSON"),
        ("c.jsonl", b'{"model": "base"}\n[1]\n', r"line 2: is not a JSON object"),
        ("b.csv", b'model,prompt,text\nbase,a,"b', r"is not valid CSV"),
        ("c.csv", b"model,prompt,text\nbase,a,b,c\n", r"line 2: has more fields than the header"),
        ("d.csv", b"model,prompt,text\nbase,a\n", r"line 2: `text` is missing"),
        ("d.xlsx", b"", r"`\.xlsx` is not a kind of table"),
    ):
        (tmp_path / name).write_bytes(content)
        refuses(tmp_path / name, match)
    refuses(tmp_path / "nowhere.csv", r"no such file of recorded texts; mend `texts`")


def test_a_prompt_in_two_strata(write: Any) -> None:
    refuses(write([*ROWS, {**ROWS[0], "stratum": "place"}]), r"line 57: the prompt 'One day ' has `stratum` 'place' here and 'time' before")


def test_a_spreadsheets_byte_order_mark_and_a_long_text(tmp_path: Path) -> None:
    path = tmp_path / "sheet.csv"
    long = "otter " * 50_000
    path.write_bytes(f"\ufeffmodel,prompt,text\nbase,a,{long}\nintervention,a,b\n".encode())
    assert RecordedTexts.read(path).texts["base"]["a"] == (long,)


def config(base: dict[str, str], intervention: dict[str, str]) -> AuditConfig:
    return AuditConfig.model_validate({"name": "x", "base": base, "intervention": intervention, "prompts": {"path": "p.txt"}})


def test_one_file_or_two(write: Any) -> None:
    both = write(ROWS)
    one = write([row for row in ROWS if row["model"] == "base"], name="one")
    two = write([row for row in ROWS if row["model"] == "intervention"], name="two")
    shared = recorded_texts(config({"texts": str(both)}, {"texts": str(both)}))
    assert [file.roles for file in shared] == [("base", "intervention")]
    apart = recorded_texts(config({"texts": str(one)}, {"texts": str(two)}))
    assert [file.roles for file in apart] == [("base",), ("intervention",)]
    assert apart[1].texts["intervention"] == shared[0].texts["intervention"]
    assert [file.roles for file in recorded_texts(config({"model": "x"}, {"texts": str(both)}))] == [("intervention",)]
    assert recorded_texts(config({"model": "x"}, {"model": "y"})) == []
    short = write([row for row in ROWS if row["model"] == "intervention" and row["prompt"] != "NA"], name="short")
    with pytest.raises(SubjectError, match=r"short\.jsonl: the prompt 'NA' has texts with `model` base but none with intervention"):
        recorded_texts(config({"texts": str(one)}, {"texts": str(short)}))
    check_subject(SubjectConfig(texts=str(one)), "base")
    with pytest.raises(SubjectError, match=r"one\.jsonl: holds no row with `model` intervention"):
        check_subject(SubjectConfig(texts=str(one)), "intervention")


def test_a_copied_text_is_no_second_sample(tmp_path: Path) -> None:
    """A file concatenated with itself must not look like twice the evidence; short answers may well come twice."""
    long, short = "The otter swam up the river and came back with a fish.", "Yes."
    rows = [{"model": role, "prompt": "p", "text": text} for role in ROLES for text in (long, short, long, short, long + "!")]
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    recorded = RecordedTexts.read(path)
    assert recorded.texts["base"]["p"] == (long, short, short, long + "!")
    assert recorded.repeats == 2
