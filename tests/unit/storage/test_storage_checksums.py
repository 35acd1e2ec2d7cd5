"""What is read is what was written, or it is an error that says so."""

from __future__ import annotations

import errno
import logging
import os
from pathlib import Path

import pytest

from storage import filesystem
from storage.errors import CorruptObject
from storage.filesystem import FilesystemStore
from storage.observed import ObservedStore

NAMES = [
    f"generated/{1:032x}.png",
    f"generated/{1:032x}.json",
    f"sources/{1:032x}.png",
    f"masks/{1:032x}.png",
    f"references/{1:032x}{2:032x}.json",
    f"answers/{1:032x}.json",
]


def put(store: FilesystemStore, name: str, data: bytes = b"content" * 9) -> None:
    store.put(name, data, "image/png" if name.endswith(".png") else "application/json")


@pytest.fixture
def store(tmp_path: Path) -> FilesystemStore:
    return FilesystemStore(tmp_path)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("damage", [
    lambda data: data[: len(data) // 2],
    lambda data: data[:5] + bytes([data[5] ^ 1]) + data[6:],
    lambda data: data + b"\0",
    lambda data: b"",
], ids=["cut", "flipped", "longer", "empty"])  # fmt: skip
def test_damage_is_noticed(store: FilesystemStore, tmp_path: Path, name: str, damage) -> None:
    put(store, name)
    assert store.get(name).verified
    path = tmp_path / name
    with path.open("r+b") as file:  # in place, as a failing disk does
        data = damage(file.read())
        file.seek(0)
        file.truncate()
        file.write(data)
    with pytest.raises(CorruptObject, match="is damaged: its checksum does not match"):
        store.get(name)
    put(store, name, b"again")
    assert store.get(name).data == b"again"


def test_what_has_no_checksum_is_read_and_told(store: FilesystemStore, tmp_path: Path) -> None:
    (tmp_path / "generated").mkdir()
    (tmp_path / NAMES[0]).write_bytes(b"of an older version")
    stored = store.get(NAMES[0])
    assert (stored.data, stored.verified) == (b"of an older version", False)


def test_a_folder_without_attributes_is_told_once(
    store: FilesystemStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(filesystem.os, "setxattr", refuse)
    with caplog.at_level(logging.WARNING):
        for name in NAMES:
            put(store, name)
    assert [record.message for record in caplog.records] == [
        "the folder of the filesystem store holds no extended attributes, so that objects are kept "
        "without checksums and damage is not noticed"
    ]
    assert not store.get(NAMES[0]).verified


def test_a_checksum_that_is_none_is_damage(store: FilesystemStore, tmp_path: Path) -> None:
    put(store, NAMES[0])
    os.setxattr(tmp_path / NAMES[0], "user.backdrop.sha256", b"\xff\xfe")
    with pytest.raises(CorruptObject):
        store.get(NAMES[0])


def test_damage_is_counted(store: FilesystemStore, tmp_path: Path) -> None:
    class Heard(list):
        def operated(self, operation: str, outcome: str, seconds: float, size: int) -> None:
            self.append((operation, outcome))

    heard = Heard()
    put(store, NAMES[0])
    with (tmp_path / NAMES[0]).open("ab") as file:
        file.write(b"!")
    with pytest.raises(CorruptObject):
        ObservedStore(store, heard).get(NAMES[0])
    assert heard == [("get", "corrupt")]
