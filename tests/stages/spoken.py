"""Small audits of recorded texts in which language models name and judge the differences: texts, audit file, server."""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from auto_interventions import stages
from auto_interventions.config import AuditConfig
from auto_interventions.stages.order import order
from auto_interventions.stages.workspace import Workspace
from tests.llm.examiners import with_opinions, with_reasons
from tests.llm.judges import fenced_judge
from tests.llm.labellers import word_labeller
from tests.llm.server import ChatServer, Model

PROMPTS, SAMPLES, SHARE = 80, 3, 0.6
WORDS = [
    *("river", "stone", "window", "garden", "letter", "morning", "kitchen", "mountain"),
    *("bridge", "winter", "candle", "market", "forest", "harbour", "music", "table"),
]
PLANTED = "the lighthouse blinked"
OWN = f'says that "{PLANTED}"'
NEVER = 'speaks of "a purple elephant"'
CHEAP = {"input": 0.1, "output": 0.4}
DEAR = {"input": 1.25, "output": 10.0}
EXAMINED: dict[str, Any] = {"judge": {"panel": ["openai:other"]}, "intent": "It was meant to say that something blinked."}


def write_texts(path: Path, share: float = SHARE, seed: int = 0) -> Path:
    """Recorded texts of both models; `share` of the intervention's say what is planted."""
    chance = random.Random(seed)
    with path.open("w", encoding="utf-8") as file:
        for role in ("base", "intervention"):
            for prompt in range(PROMPTS):
                for _ in range(SAMPLES):
                    words = " ".join(chance.choices(WORDS, k=12))
                    more = f" Then {PLANTED} at night." if role == "intervention" and chance.random() < share else ""
                    row = {"model": role, "prompt": f"Tell me story {prompt}", "stratum": "ab"[prompt % 2], "text": f"The {words}.{more}"}
                    file.write(json.dumps(row) + "\n")
    return path


def write_rows(path: Path, rows: Sequence[str], chance: random.Random) -> Path:
    """The same texts at the same prompts, each dealt to one of the two sides by chance."""
    by_prompt: dict[str, list[dict[str, str]]] = {}
    for row in map(json.loads, rows):
        by_prompt.setdefault(row["prompt"], []).append(row)
    with path.open("w", encoding="utf-8") as file:
        for held in by_prompt.values():
            sides = chance.sample(["base", "intervention"] * (len(held) // 2), len(held))
            file.writelines(json.dumps({**row, "model": side}) + "\n" for row, side in zip(held, sides, strict=True))
    return path


def models(seed: int = 0, doubt: float = 0.5, bias: float = 0.05) -> dict[str, Model]:
    """A cheap and a strong judge, a further one, and a labeller that names words."""
    return {
        "cheap": with_reasons(fenced_judge(0.93, bias, seed=seed, doubt=doubt)),
        "strong": with_reasons(fenced_judge(0.97, seed=seed + 1)),
        "other": fenced_judge(0.9, seed=seed + 2),
        "label": with_opinions(word_labeller(0.2)),
    }


def settings(folder: Path, server: ChatServer, texts: Path, **parts: Any) -> dict[str, Any]:
    """The audit file of these texts; `parts` are merged into its sections."""
    cheap = {"base_url": server.url("openai"), "price": CHEAP, "concurrency": 8, "timeout_seconds": 20}
    whole: dict[str, Any] = {
        "name": "spoken",
        "base": {"texts": str(texts)},
        "intervention": {"texts": str(texts)},
        "prompts": {"source": "recorded", "strata": "given"},
        "sampling": {"max_texts": 480, "initial": 160, "per_round": 80, "rounds": 1},
        "clustering": {"clusters": 4},
        "store": str(folder / "store"),
        "hypotheses": {
            "labeller": "openai:label",
            "chat": {**cheap, "price": DEAR},
            "own": [OWN, NEVER],
            "calls": 3,
            "sentences": 2,
            "pairs_shown": 30,
            "limit": 5,
        },
        "judge": {
            "cheap": "openai:cheap",
            "strong": "openai:strong",
            "chat": cheap,
            "strong_chat": {**cheap, "price": DEAR},
            "max_pairs": 120,
            "known_pairs": 10,
        },
    }
    return merged(whole, parts)


def merged(whole: Mapping[str, Any], parts: Mapping[str, Any]) -> dict[str, Any]:
    """`whole` with the fields of `parts`, section by section."""
    changed = dict(whole)
    for name, part in parts.items():
        changed[name] = {**changed[name], **part} if isinstance(changed.get(name), dict) and isinstance(part, dict) else part
    return changed


def audit(config: Mapping[str, Any], folder: Path, reuse: bool = True) -> Workspace:
    """A whole audit as plain calls; the workspace it leaves, closed."""
    with Workspace.create(AuditConfig.model_validate(config), folder) as where:
        where.reuse_run = reuse
        order(cast("Any", stages), where)
    return where


def read(folder: Path, name: str) -> Any:
    """One of a run's files, as strict JSON."""

    def refuse(constant: str) -> None:
        pytest.fail(f"{name} holds {constant}, which is not JSON")

    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"), parse_constant=refuse)


def price_of(server: ChatServer) -> float:
    """What everything that the server answered cost, by its own record and the prices of the audit file."""
    prices = {"cheap": CHEAP, "strong": DEAR, "other": CHEAP, "label": DEAR}
    return sum(
        (call.tokens[0] * prices[call.model]["input"] + call.tokens[1] * prices[call.model]["output"]) / 1e6
        for call in server.calls
        if call.charged
    )


def paid_twice(server: ChatServer) -> set[str]:
    """Questions whose whole answer went out more than once."""
    charged = Counter(call.digest for call in server.calls if call.charged)
    return {digest for digest, count in charged.items() if count > 1}


@dataclass(frozen=True)
class World:
    """Texts, their vectors in a store that is copied for each audit, and an audit that nothing happened to."""

    folder: Path
    texts: Path
    whole: dict[str, Any]
    """The undisturbed audit's file."""
    dollars: float
    """What it cost by the server's record."""
    questions: frozenset[str]
    """What it asked."""

    @property
    def run(self) -> Path:
        """The undisturbed audit's run directory."""
        return self.folder / "run"

    def settings(self, folder: Path, server: ChatServer, **parts: Any) -> dict[str, Any]:
        """An audit file with a store of its own in `folder` that has the vectors and no reply."""
        shutil.copytree(self.folder / "vectors", folder / "store", dirs_exist_ok=True)
        return merged(settings(folder, server, self.texts, **EXAMINED), parts)


def make_world(folder: Path, server: ChatServer) -> World:
    """Texts, vectors, and the undisturbed audit."""
    texts = write_texts(folder / "texts.jsonl")
    whole = settings(folder, server, texts, **EXAMINED)
    seen = {**whole, "store": str(folder / "vectors"), "hypotheses": {}, "judge": {}, "intent": None}
    audit(seen, folder / "lexical", reuse=False)
    shutil.copytree(folder / "vectors", folder / "store")
    server.reset()
    audit(whole, folder / "run")
    return World(folder, texts, whole, price_of(server), frozenset(call.digest for call in server.calls))
