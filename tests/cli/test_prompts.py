"""`auto-interventions prompts`: what would be asked, of an audit file, a bank file, a published bank, in both forms of output."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from auto_interventions.audit_file import load_audit
from auto_interventions.cli.app import app, main
from auto_interventions.runs import load_run
from auto_interventions.stages.checking import check_files

from .test_bad_input import run
from .test_small_audits import audit_file, result


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the command; what it printed on stdout."""

    def command(*arguments: str, code: int = 0) -> str:
        monkeypatch.setattr("sys.argv", ["auto-interventions", "prompts", *arguments])
        with pytest.raises(SystemExit) as ended:
            app()
        assert ended.value.code == code
        return capsys.readouterr().out

    return command


def bank(folder: Path) -> Path:
    rows = [{"text": f"Ask {number} about the {topic}", "topic": topic} for topic in ("sea", "road") for number in range(20)]
    path = folder / "bank.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in [*rows, rows[0], {"text": "ask 0 about the SEA!", "topic": "sea"}]))
    return path


def test_a_bank_by_stratum_and_pool(told: Any, tmp_path: Path) -> None:
    given = ("--set", "column=text", "--set", "stratum_column=topic", "--set", "strata=given", "--set", "explore_share=0.25")
    seen = json.loads(told(str(bank(tmp_path)), *given, "--json", "--samples", "3"))
    assert seen["schema"] == "auto-interventions/prompts@1"
    assert (seen["bank"]["read"], seen["bank"]["kept"], seen["bank"]["dropped"]) == (42, 40, {"alike": 2})
    assert seen["pools"] == {"explore": 10, "confirm": 30}
    assert [(one["stratum"], one["prompts"], one["explore"], one["confirm"]) for one in seen["strata"]] == [
        *(("road", 20, 5, 15), ("sea", 20, 5, 15)),
    ]
    assert all(len(one["samples"]) == 3 for one in seen["strata"])
    printed = told(str(bank(tmp_path)), *given)
    for word in ("42 rows", "2 alike", "40 prompts: 10 explore", "road", "sea", "Ask", "licence  not known"):
        assert word in printed


def test_strata_that_are_not_made_yet_have_no_pools(told: Any, tmp_path: Path) -> None:
    seen = json.loads(told(str(bank(tmp_path)), "--set", "column=text", "--json"))
    assert seen["pools"] is None
    assert [one["explore"] for one in seen["strata"]] == [None]
    made = json.loads(told(str(bank(tmp_path)), "--set", "column=text", "--set", "strata_count=2", "--json", "--embed"))
    assert sum(made["pools"].values()) == 40
    assert len(made["strata"]) == 2
    assert "--embed makes them now" in told(str(bank(tmp_path)), "--set", "column=text")


def test_what_is_shown_of_an_audit_is_what_it_asks(told: Any, tmp_path: Path) -> None:
    file = audit_file(tmp_path)
    seen = json.loads(told(str(file), "--json"))
    result(file)
    run_json = load_run(tmp_path / "run").run
    assert seen["pools"] == {pool: run_json["prompts"][pool] for pool in ("explore", "confirm")}
    assert seen["bank"] == run_json["prompts"]["bank"]


def test_the_prompts_as_a_file_that_asks_the_same(told: Any, tmp_path: Path) -> None:
    source = bank(tmp_path)
    given = ("--set", "column=text", "--set", "stratum_column=topic", "--set", "strata=given")
    seen = json.loads(told(str(source), *given, "--write", str(tmp_path / "out.jsonl"), "--json"))
    again = json.loads(told(str(tmp_path / "out.jsonl"), "--set", "strata=given", "--json"))
    assert (again["pools"], again["strata"]) == (seen["pools"], seen["strata"])
    row = json.loads((tmp_path / "out.jsonl").read_text().splitlines()[0])
    assert set(row) == {"prompt", "stratum", "pool"}


def test_mistakes_are_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    source = bank(tmp_path)
    for arguments, words in (
        (["nonsense"], ["nonsense: is no audit file", "mwe, truthfulqa", "hub:ID"]),
        ([str(tmp_path / "none.csv")], ["none.csv: no such file"]),
        ([str(source)], ["bank.jsonl: has no column `prompt` (it has text, topic)"]),
        ([str(source), "--set", "colum=text"], ["`prompts.colum` is not a known field; did you mean `column`?"]),
        ([str(source), "--set", "column=text", "--write", str(source)], ["bank.jsonl: is there already"]),
        (["mpi"], ["not on the hub", "https://github.com/jianggy/MPI"]),
        ([str(source), "--set", "column=text", "--set", "balance=true"], ["40 prompts have no category", "`prompts.balance`"]),
    ):
        code, errors = run("prompts", *arguments, capsys=capsys, monkeypatch=monkeypatch)
        assert code == 2, arguments
        sentence = next(line for line in errors.splitlines() if line.startswith("error: "))
        assert all(word in sentence for word in words), sentence


def test_a_bank_that_is_not_written_yet_says_what_it_will_cost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "audit.yaml"
    written = {"by": "gemini:gemini-2.5-flash", "categories": ["the sea", "bread"], "each": 30}
    sides = {"base": {"model": "gpt2"}, "intervention": {"model": "gpt2"}}
    file.write_text(yaml.safe_dump({"name": "w", **sides, "prompts": {"source": "generated", "written": written}, "store": "store"}))
    monkeypatch.setattr("sys.argv", ["auto-interventions", "prompts", str(file)])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr().out
    assert ended.value.code == 0
    assert "gemini:gemini-2.5-flash will write this bank" in said
    assert "6 to 24 calls, $0.0" in said
    monkeypatch.setattr("sys.argv", ["auto-interventions", "prompts", str(file), "--json"])
    with pytest.raises(SystemExit):
        main()
    assert "will write this bank" in json.loads(capsys.readouterr().out)["why"]
    check_files(load_audit(file), tmp_path / "run")


def test_it_loads_neither_models_nor_their_libraries(tmp_path: Path) -> None:
    source = bank(tmp_path)
    watch = (
        "import sys; from auto_interventions.cli.app import app\n"
        f"sys.argv = ['auto-interventions', 'prompts', {str(source)!r}, '--set', 'column=text', '--json']\n"
        "try:\n    app()\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('torch', 'transformers', 'sklearn', 'prefect', 'dask', 'huggingface_hub') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", watch], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
