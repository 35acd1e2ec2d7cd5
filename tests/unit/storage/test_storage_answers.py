"""Kept answers: what is refused, and what a damaged one is."""

from pathlib import Path

import pytest
from recorder import Recorder, key

from storage.answers import Answers
from storage.errors import CorruptObject, InvalidObjectName


@pytest.fixture
def store(tmp_path: Path) -> Recorder:
    return Recorder(tmp_path / "images")


@pytest.mark.parametrize("answer", [{"x": float("nan")}, {"x": object()}, {"x": b"bytes"}])
def test_what_json_lacks_is_refused_before_anything_is_written(
    store: Recorder, answer: dict[str, object]
) -> None:
    with pytest.raises((TypeError, ValueError)):
        Answers(store).save(key(1), answer)
    assert store.names() == []


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"[" * 100_000, b"\xff"])
def test_a_damaged_answer_is_told(store: Recorder, data: bytes) -> None:
    store.put(f"answers/{key(1)}.json", data, "application/json")
    with pytest.raises(CorruptObject, match="is not"):
        Answers(store).load(key(1))


@pytest.mark.parametrize("name", ["", "../x", "A" * 32, "0" * 31])
def test_no_other_key_is_taken(store: Recorder, name: str) -> None:
    with pytest.raises(InvalidObjectName):
        Answers(store).load(name)
    with pytest.raises(InvalidObjectName):
        Answers(store).save(name, {})
