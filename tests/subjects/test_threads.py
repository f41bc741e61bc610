"""One thread a batch, batches side by side: the same bits with any number of cores."""

from __future__ import annotations

import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from auto_interventions.config import SamplingConfig, SubjectConfig
from auto_interventions.records import Generation, Prompt
from auto_interventions.subjects import threads
from auto_interventions.subjects.base import Request, jobs_of
from auto_interventions.subjects.live import LiveSubject
from auto_interventions.subjects.sampling import NotANumber, sample_batch

from .tiny_models import make_model, save_model

CPU = torch.device("cpu")


@pytest.fixture(params=[1, 2, 3])
def cores(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Generator[int]:
    before = torch.get_num_threads()
    monkeypatch.setattr(threads, "cores", lambda: request.param)
    yield request.param
    torch.set_num_threads(before)


def test_pieces_run_on_as_many_threads_as_there_are_cores(cores: int) -> None:
    together = threading.Barrier(cores)  # breaks, so that the test fails, unless this many pieces are at work at once

    def work(piece: int) -> tuple[int, int]:
        with threads.one_thread(CPU):
            together.wait(timeout=30)
            return piece * piece, torch.get_num_threads()

    found = dict(threads.side_by_side(CPU, work, range(6)))
    assert found == {piece: (piece * piece, 1) for piece in range(6)}


def test_after_a_failure_no_other_piece_begins(cores: int) -> None:
    begun: list[int] = []

    def work(piece: int) -> int:
        begun.append(piece)
        if piece == 2:
            raise ArithmeticError
        return piece

    with pytest.raises(ArithmeticError):
        list(threads.side_by_side(CPU, work, range(100)))
    assert len(begun) <= 3 + cores


def test_a_caller_that_stops_is_not_kept_waiting_for_the_rest(cores: int) -> None:
    begun: list[int] = []
    results = threads.side_by_side(CPU, lambda piece: begun.append(piece), range(100))
    next(results)
    results.close()  # pyright: ignore[reportAttributeAccessIssue]
    assert len(begun) <= 2 * cores


def test_the_number_of_threads_is_what_it_was() -> None:
    with threads.one_thread(CPU):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == threads.cores()
    with pytest.raises(ArithmeticError), threads.one_thread(CPU):
        raise ArithmeticError
    assert torch.get_num_threads() == threads.cores()


def test_a_model_whose_bits_depend_on_threads_gives_the_same_texts_with_any_number(cores: int, tmp_path: Path) -> None:
    sizes: dict[str, Any] = {"hidden_size": 512, "intermediate_size": 1024, "num_attention_heads": 8, "num_key_value_heads": 8}
    folder = save_model(tmp_path / "model", **sizes)
    sampling = SamplingConfig(max_new_tokens=8, batch_tokens=500)
    requests = [Request(Prompt(f"p{number}", text, "s"), 0, 16) for number, text in enumerate(("One day", "The otter went", "Far away"))]
    subject = LiveSubject(SubjectConfig(model=str(folder)), "base", sampling)
    logits: list[bytes] = []
    hook = subject._model.register_forward_hook(lambda _module, _given, output: logits.append(output.logits.numpy().tobytes()))
    texts = subject.generate(requests)
    hook.remove()  # the other subject has the very same model in memory
    expected_texts, expected_logits = _alone(folder, sampling, requests)
    assert texts == expected_texts
    assert sorted(logits) == sorted(expected_logits)


def _alone(folder: Path, sampling: SamplingConfig, requests: list[Request]) -> tuple[list[Generation], list[bytes]]:
    """The same with a fresh model, one batch after the other, on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        subject = LiveSubject(SubjectConfig(model=str(folder)), "base", sampling)
        seen: list[bytes] = []
        hook = subject._model.register_forward_hook(lambda _module, _given, output: seen.append(output.logits.numpy().tobytes()))
        made = [text for batch in subject.plan(jobs_of(requests)) for text in subject.run(batch)]
        hook.remove()
    finally:
        torch.set_num_threads(before)
    order = {(request.prompt.id, sample): place for place, (request, sample) in enumerate((r, s) for r in requests for s in range(16))}
    return sorted(made, key=lambda text: order[text.prompt.id, text.sample]), seen


def test_nan_in_a_late_step_is_an_error() -> None:
    model = make_model()
    calls = 0

    def spoil(_module: Any, _given: Any, output: Any) -> None:
        nonlocal calls
        calls += 1
        if calls >= 6:
            output.logits[0] = torch.nan

    model.register_forward_hook(spoil)
    with pytest.raises(NotANumber):
        sample_batch(model, [[5, 6, 7]], [0, 0], np.full((2, 12), 0.5, dtype=np.float32), [], 1.0, 1.0)
