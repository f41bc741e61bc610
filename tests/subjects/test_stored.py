from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from auto_interventions.config import SamplingConfig, SubjectConfig
from auto_interventions.records import Prompt, Role
from auto_interventions.stores import Store, open_store
from auto_interventions.subjects import Request, open_subject
from auto_interventions.subjects.stored import StoredSubject

SAMPLING = SamplingConfig(max_new_tokens=8, batch_tokens=120)
REQUESTS = [Request(Prompt("One day " * (1 + number % 5) + str(number)), 0, 2) for number in range(20)]
Folder = Callable[..., Path]


def stored(folder: Path, store: Store, role: Role = "base", sampling: SamplingConfig = SAMPLING) -> StoredSubject:
    subject = open_subject(SubjectConfig(model=str(folder)), role, sampling, store)
    assert isinstance(subject, StoredSubject)
    return subject


class DyingStore:
    """A real store of a process that is killed while it writes its third batch."""

    def __init__(self, store: Store) -> None:
        self.store, self.writes = store, 0

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        return self.store.get_many(keys)

    def put_many(self, items: Mapping[str, bytes]) -> None:
        self.writes += 1
        if self.writes == 3:
            raise KeyboardInterrupt
        self.store.put_many(items)

    def close(self) -> None:
        self.store.close()


def test_a_text_is_generated_once(model_folder: Folder, tmp_path: Path) -> None:
    folder, store = model_folder(), open_store(str(tmp_path / "store"))
    first = stored(folder, store)
    texts = first.generate(REQUESTS)
    assert (first.computed, first.reused) == (40, 0)
    assert texts == open_subject(SubjectConfig(model=str(folder)), "base", SAMPLING, None).generate(REQUESTS)
    again, finished = stored(folder, store), []
    assert again.generate(REQUESTS, finished.append) == texts
    assert (again.computed, again.reused, finished) == (0, 40, [40])
    more = stored(folder, store)
    longer = more.generate([Request(request.prompt, 0, 3) for request in REQUESTS])
    assert (more.computed, more.reused) == (20, 40)
    assert [text for text in longer if text.sample < 2] == texts


def test_nothing_is_loaded_when_every_text_is_there(model_folder: Folder, tmp_path: Path) -> None:
    folder, store = model_folder(), open_store(str(tmp_path / "store"))
    stored(folder, store).generate(REQUESTS)
    again = stored(folder, store)
    again.generate(REQUESTS)
    assert "_model" not in vars(again._subject)


def test_a_kill_loses_one_batch_and_the_rest_is_the_same(model_folder: Folder, tmp_path: Path) -> None:
    folder, store = model_folder(), open_store(str(tmp_path / "store"))
    with pytest.raises(KeyboardInterrupt):
        stored(folder, DyingStore(store)).generate(REQUESTS)
    resumed = stored(folder, store)
    texts = resumed.generate(REQUESTS)
    assert 0 < resumed.reused < 40
    assert resumed.computed == 40 - resumed.reused
    assert texts == open_subject(SubjectConfig(model=str(folder)), "base", SAMPLING, None).generate(REQUESTS)


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"temperature": 0.5}, {"top_p": 0.5}, {"max_new_tokens": 9}], ids=lambda change: next(iter(change))
)
def test_whatever_changes_a_text_is_in_its_key(model_folder: Folder, tmp_path: Path, change: dict[str, float]) -> None:
    folder, store = model_folder(), open_store(str(tmp_path / "store"))
    key = stored(folder, store).key(Prompt("One day"), 0)
    assert stored(folder, store, sampling=SAMPLING.model_copy(update=change)).key(Prompt("One day"), 0) != key


def test_role_model_prompt_and_sample_are_in_the_key_and_nothing_else(model_folder: Folder, tmp_path: Path) -> None:
    folder, other, store = model_folder(), model_folder("other", seed=1), open_store(str(tmp_path / "store"))
    key = stored(folder, store).key(Prompt("One day"), 0)
    keys = {
        key,
        stored(folder, store, role="intervention").key(Prompt("One day"), 0),
        stored(other, store).key(Prompt("One day"), 0),
        stored(folder, store).key(Prompt("One day "), 0),
        stored(folder, store).key(Prompt("One day"), 1),
    }
    assert len(keys) == 5
    assert stored(folder, store).key(Prompt("One day", stratum="3 · otter", pool="confirm"), 0) == key
    larger = SAMPLING.model_copy(update={"batch_tokens": 9_999, "max_texts": 10, "rounds": 3})
    assert stored(folder, store, sampling=larger).key(Prompt("One day"), 0) == key
    assert key.startswith("generation/v2/")


def test_a_damaged_value_is_generated_again(model_folder: Folder, tmp_path: Path) -> None:
    folder, store = model_folder(), open_store(str(tmp_path / "store"))
    subject = stored(folder, store)
    texts = subject.generate(REQUESTS[:2])
    for damage in (b"", b"\xff\x00", b"[1]", b'{"text": "x"}'):
        store.put_many({subject.key(REQUESTS[0].prompt, 0): damage})
        again = stored(folder, store)
        assert again.generate(REQUESTS[:2]) == texts
        assert (again.computed, again.reused) == (1, 3)
