"""A finder's ONNX file by name: bundled, a file, a folder, or the Hub and its cache."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import constants

from deployments.finder_settings import FinderSettings
from deployments.studio.finder_weights import (
    BUNDLED,
    BUNDLED_SHA256,
    FinderError,
    find_file,
    local_file,
    read_file,
)

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def chosen(weights: str, **given: Any) -> FinderSettings:
    return FinderSettings.model_validate({"network": "isnet", "weights": weights, **given})


def refusal(settings: FinderSettings) -> str:
    with pytest.raises(FinderError) as refused:
        find_file(settings)
    return str(refused.value)


def test_the_bundled_file_is_the_one_its_card_tells_of() -> None:
    assert find_file(FinderSettings()) == BUNDLED
    assert hashlib.sha256(BUNDLED.read_bytes()).hexdigest() == BUNDLED_SHA256
    assert BUNDLED_SHA256 in (BUNDLED.parent / "README.md").read_text()


def test_a_file_and_a_folder(tmp_path: Path) -> None:
    file = tmp_path / "onnx" / "model.onnx"
    file.parent.mkdir()
    file.touch()
    assert find_file(chosen(str(file))) == file
    assert find_file(chosen(str(tmp_path))) == file
    assert refusal(chosen(str(tmp_path), file="other.onnx")) == (
        f"finder.file: the folder {tmp_path} has no other.onnx"
    )


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        ("./nowhere", "./nowhere does not exist"),
        ("/nowhere/at/all.onnx", "/nowhere/at/all.onnx does not exist"),
        ("nowhere.onnx", "nowhere.onnx does not exist"),
        (
            "a/b/c",
            "'a/b/c' is neither 'bundled', nor a file or folder that exists, nor a Hub id like "
            "owner/name",
        ),
        ("o/n", "o/n on the Hub needs a revision in the configuration, best a commit"),
    ],
)
def test_a_name_of_nothing(weights: str, sentence: str) -> None:
    assert refusal(chosen(weights)) == f"finder.weights: {sentence}"


@pytest.fixture
def hub_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file in a Hub cache that holds o/n at tag v1, with the Hub switched off."""
    repository = tmp_path / "hub" / "models--o--n"
    file = repository / "snapshots" / COMMIT / "onnx" / "model.onnx"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"weights")
    (repository / "refs").mkdir()
    (repository / "refs" / "v1").write_text(COMMIT)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return file


@pytest.mark.parametrize("revision", ["v1", COMMIT])
def test_a_cached_hub_id(hub_file: Path, revision: str) -> None:
    settings = chosen("o/n", revision=revision)
    assert local_file(settings) is None
    assert find_file(settings) == hub_file
    assert read_file(hub_file, None) == b"weights"
    assert refusal(chosen("o/n", revision=revision, file="onnx/other.onnx")) == (
        f"finder.file: o/n at revision {revision} has no onnx/other.onnx"
    )


@pytest.mark.usefixtures("hub_file")
def test_a_revision_that_is_not_there() -> None:
    assert refusal(chosen("o/n", revision="v2")) == (
        "finder.weights: o/n at revision v2 is not in the local cache, and the Hub cannot be "
        "reached"
    )


def test_only_the_file_that_is_named_is_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str | None, list[str]]] = []

    def download(name: str, *, revision: str | None, allow_patterns: list[str]) -> str:
        asked.append((name, revision, allow_patterns))
        (tmp_path / "half.onnx").touch()
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert find_file(chosen("o/n", revision="v1", file="half.onnx")) == tmp_path / "half.onnx"
    assert asked == [("o/n", "v1", ["half.onnx"])]


def test_another_file_is_told_with_both_hashes(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(b"weights")
    found = hashlib.sha256(b"weights").hexdigest()
    assert read_file(file, found) == b"weights"
    with pytest.raises(FinderError, match=f"^finder.sha256: .* is {found}, and not {'0' * 64}$"):
        read_file(file, "0" * 64)
