"""Audits that judge by language models take turns where a limit is named."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from auto_interventions import tasks
from auto_interventions.config import JudgeConfig


def at_work(url: str, limit: str) -> int:
    return int(httpx.get(f"{url}/v2/concurrency_limits/{limit}").raise_for_status().json()["active_slots"])


def test_a_turn_is_taken_and_given_back(prefect_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    httpx.post(f"{prefect_server}/v2/concurrency_limits/", json={"name": "turns", "limit": 2}).raise_for_status()
    monkeypatch.setenv(tasks.JUDGING_LIMIT, "turns")
    judged = cast(Any, SimpleNamespace(config=SimpleNamespace(judge=JudgeConfig(cheap="openai:judge"))))
    by_rule = cast(Any, SimpleNamespace(config=SimpleNamespace(judge=JudgeConfig())))
    with temporary_settings({PREFECT_API_URL: prefect_server}):
        with tasks._turn_to_judge(judged):
            assert at_work(prefect_server, "turns") == 1
            with tasks._turn_to_judge(by_rule):
                assert at_work(prefect_server, "turns") == 1
        assert at_work(prefect_server, "turns") == 0
        monkeypatch.setenv(tasks.JUDGING_LIMIT, "nobody-made-it")
        with pytest.raises(Exception, match="nobody-made-it"), tasks._turn_to_judge(judged):
            pass
