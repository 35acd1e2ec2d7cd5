"""The look through a store finds what is wrong, each thing by its name, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from storage.filesystem import FilesystemStore
from storage.fsck import Findings, examine
from storage.lineage import Lineage
from storage.names import (
    image_name,
    mask_name,
    owned_name,
    recipe_name,
    reference_name,
    source_name,
)
from storage.records import Records

PNG = b"\x89PNG\r\n\x1a\n" + b"pixels"
CHECKOUT = Path(__file__).parents[3]


def key(number: int) -> str:
    return f"{number:032x}"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A store of two results of one photo, with its product."""
    store = FilesystemStore(tmp_path)
    lineage, records = Lineage(store), Records(store)
    lineage.refer(key(1), [key(10), key(11)])
    lineage.save_source(key(1), PNG)
    lineage.save_mask(key(1), PNG)
    lineage_of = {"photo_key": key(1), "mask_key": key(1)}
    records.save(key(10), PNG, lineage_of)
    records.save(key(11), PNG, {**lineage_of, "owner": "d" * 32})
    return tmp_path


def found(root: Path, **age: float) -> Findings:
    return examine(FilesystemStore(root), datetime.now(UTC) + timedelta(**age or {"seconds": 60}))


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "storage.fsck", *map(str, arguments)]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True)


def test_a_sound_store_has_no_findings(root: Path) -> None:
    assert found(root) == Findings(objects=9)
    ran = run("--path", root, "--age", "0")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == ("9 objects: 0 damaged, 0 half there, 0 orphaned, 0 without a checksum\n")


@pytest.mark.parametrize("name", [
    image_name(key(10), "png"), recipe_name(key(10)), source_name(key(1)), mask_name(key(1)),
    reference_name(key(1), key(10)),
])  # fmt: skip
def test_damage_is_told_by_name(root: Path, name: str) -> None:
    with (root / name).open("r+b") as file:
        file.truncate(1)
    told = found(root)
    assert told.damaged == {name: "is damaged: its checksum does not match"}
    assert not told.orphaned


def test_damage_without_a_checksum_is_seen_where_it_shows(root: Path) -> None:
    for name in (image_name(key(10), "png"), recipe_name(key(11))):
        (root / name).write_bytes(b"[]")
        os.removexattr(root / name, "user.backdrop.sha256")
    told = found(root)
    assert told.damaged == {
        image_name(key(10), "png"): "is not a PNG image",
        recipe_name(key(11)): "is not a JSON object",
    }
    assert sorted(told.unverified) == sorted(told.damaged)


@pytest.mark.parametrize(("gone", "name", "what"), [
    (image_name(key(10), "png"), recipe_name(key(10)), "has no image"),
    (recipe_name(key(10)), image_name(key(10), "png"), "has no recipe"),
    (reference_name(key(1), key(10)), image_name(key(10), "png"), "needs references/"),
])  # fmt: skip
def test_what_is_half_there_is_told(root: Path, gone: str, name: str, what: str) -> None:
    (root / gone).unlink()
    told = found(root)
    assert told.half_there.keys() == {name}
    assert told.half_there[name].startswith(what)
    assert not told.damaged


def test_a_missing_photo_is_told_of_each_result(root: Path) -> None:
    (root / source_name(key(1))).unlink()
    assert found(root).half_there.keys() == {image_name(key(10), "png"), image_name(key(11), "png")}


def test_what_nothing_needs_is_told(root: Path) -> None:
    store = FilesystemStore(root)
    Lineage(store).save_source(key(2), PNG)
    Lineage(store).refer(key(1), [key(99)])
    mark = owned_name("d" * 32, key(98))
    store.put(mark, b"{}", "application/json")
    told = found(root)
    assert told.orphaned == {
        source_name(key(2)): "is needed by no result",
        reference_name(key(1), key(99)): "marks what a result needs that is not there",
        mark: "says whose a result is that is not there",
    }
    ran = run("--path", root, "--age", "0")
    assert ran.returncode == 1
    assert f"orphaned: {source_name(key(2))} is needed by no result\n" in ran.stdout


def test_what_is_young_is_only_looked_at_for_damage(root: Path) -> None:
    (root / image_name(key(10), "png")).unlink()
    (root / mask_name(key(1))).write_bytes(b"x")
    told = found(root, hours=-1)
    assert not told.half_there
    assert not told.orphaned
    assert told.damaged.keys() == {mask_name(key(1))}


def test_a_lineage_that_is_no_key_is_damage(root: Path) -> None:
    Records(FilesystemStore(root)).save(key(10), PNG, {"photo_key": "../x", "mask_key": None})
    assert found(root).damaged == {recipe_name(key(10)): "has a photo_key that is no key"}


def test_a_folder_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    ran = run("--path", tmp_path / "none")
    assert ran.returncode == 1
    assert ran.stderr.startswith("storage.fsck: ")
    assert "is not a folder" in ran.stderr
    assert not (tmp_path / "none").exists()
