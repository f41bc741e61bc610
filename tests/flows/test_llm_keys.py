"""Keys of language models, from the environment and from a Prefect Secret block: nothing that the command leaves behind holds one."""

from __future__ import annotations

import base64
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.llm.server import ChatServer
from tests.stages.spoken import World, models, paid_twice, price_of, read

from .faulty import findings
from .test_server import COMMAND, environment_of

KEY = "sk-proj-Qm4vT9-of-the-environment-Zr81LwXd"
BLOCK_KEY = "sk-proj-Hn7cB2-of-a-secret-block-Ke93PuYf"


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


class Workplace:
    """A folder in which the command runs, and all that it said."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.out = folder / "run"
        self._environment = {**environment_of(folder, url), "PREFECT_LOGGING_LEVEL": "DEBUG", "AUTO_INTERVENTIONS_TRACEBACK": ""}
        self.said = ""

    def run(self, config: dict[str, Any], **more: str) -> tuple[int, str]:
        """Exit code and stderr."""
        (self.folder / "audit.yaml").write_text(yaml.safe_dump(config))
        done = subprocess.run(
            [COMMAND, "audit", self.folder / "audit.yaml", "--out", self.out],
            env={**self._environment, **more}, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        self.said += done.stdout + done.stderr
        return done.returncode, done.stderr


@pytest.fixture(scope="module")
def block(prefect_server: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a Prefect Secret block that holds a key."""
    code = f"from prefect.blocks.system import Secret; Secret(value={BLOCK_KEY!r}).save('judges-key')"
    environment = environment_of(tmp_path_factory.mktemp("block"), prefect_server)
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, timeout=120)
    return "judges-key"


def with_block(config: dict[str, Any], block: str) -> dict[str, Any]:
    """The judges' key from the block, the labeller's from the environment."""
    judge = config["judge"]
    chats = {name: {**judge[name], "key_block": block} for name in ("chat", "strong_chat")}
    return {**config, "judge": {**judge, **chats}}


def assert_no_key(data: bytes, where: object) -> None:
    for key in (KEY, BLOCK_KEY):
        half = len(key) // 2
        for fragment in (key.encode(), key[:half].encode(), key[half:].encode(), base64.b64encode(key.encode())[:-4]):
            assert fragment not in data, f"{where} holds {fragment!r}"


def test_no_key_is_left_behind(
    spoken: World, prefect_server: str, prefect_folder: Path, block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that the money ends (exit 3), one that goes on to its end (0), one whose key is refused, with a traceback (2)."""
    place = Workplace(tmp_path, prefect_server)
    with ChatServer(models()) as server:
        config = with_block(spoken.settings(tmp_path, server), block)
        cap = 0.4 * spoken.dollars
        code, said = place.run({**config, "budget": {"dollars": cap}})
        assert code == 3, said
        assert "Stopped early" in said
        assert "`budget.dollars`" in said
        assert price_of(server) <= cap
        assert read(place.out, "run")["status"] == "stopped"
        assert read(place.out, "findings")["findings"]

        code, said = place.run({**config, "budget": {"dollars": 10 * spoken.dollars}})
        assert code == 0, said
        assert not paid_twice(server)
        assert findings(place.out) == findings(spoken.run)
        used = {call.model: call.key for call in server.calls}
        assert used == {"label": KEY, "cheap": BLOCK_KEY, "strong": BLOCK_KEY, "other": BLOCK_KEY}

        server.key = "another"
        server.reset()
        place.out = tmp_path / "refused"
        refused = {**config, "name": "refused", "hypotheses": {**config["hypotheses"], "instruction": "Look at the ends."}}
        code, said = place.run(refused, AUTO_INTERVENTIONS_TRACEBACK="1")
        assert code != 0
        assert "Traceback" in said
        assert [call.status for call in server.calls] == [401] * len(server.calls) != [], "the key was sent, and told back"
        told = read(place.out, "run")
        assert told["status"] == "interrupted"
        assert "openai:label: the provider refuses the key in OPENAI_API_KEY" in told["error"]

    logs = [line["message"] for line in httpx.post(f"{prefect_server}/logs/filter", json={"limit": 200}).json()]
    assert logs, "Prefect keeps a log"
    assert_no_key("\n".join(logs).encode(), "Prefect's log")
    assert_no_key(place.said.encode(), "what it said")
    files = [file for folder in (tmp_path, prefect_folder) for file in folder.rglob("*") if file.is_file()]
    whole = b""
    for file in files:
        data = file.read_bytes()
        whole += data
        assert_no_key(data, file)
    for known in (b"openai:cheap", b"judges-key", b"refused: texts", b"the lighthouse blinked"):
        assert known in whole, "what is looked for can be found"


def test_a_block_that_is_not_there_is_one_sentence(spoken: World, prefect_server: str, tmp_path: Path) -> None:
    place = Workplace(tmp_path, prefect_server)
    with ChatServer(models()) as server:
        code, said = place.run(with_block(spoken.settings(tmp_path, server), "no-such-block"))
        assert not server.calls
    assert code == 2, said
    assert "`key_block`: Prefect has no Secret block 'no-such-block'" in said.splitlines()[-1]
    assert "Traceback" not in said
