"""The marking in results' files, as other programs read it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deployments.composition import Look, Output
from deployments.jobs import (
    ControlSettings,
    Fidelity,
    GeneratedImage,
    GenerationSettings,
    OpenedPhoto,
    PreparedPhoto,
    Product,
)
from deployments.recipes import Recipe
from deployments.settings import StudioSettings
from deployments.studio.encoding import encode
from deployments.studio.finishing import finished
from deployments.studio.marking import metadata_of, source_type
from deployments.studio.tiles import make_tile

KEY, OTHER = "0" * 32, "1" * 32
PAINTED = Recipe(
    model="stable-diffusion",
    weights="secret/weights@1",
    scheduler="ddim",
    source="upload",
    source_key=KEY,
    photo_key=KEY,
    mask_key=KEY,
    fidelity=Fidelity(1.0, 0.9),
    version="0.1.0",
    created="2026-01-02T03:04:05+00:00",
    settings=GenerationSettings("Perfume <& backdrop", "", 7, 8, 5.0, 1.0),
    control=ControlSettings(),
)
PLAIN = replace(PAINTED, model=None, weights=None, scheduler=None, settings=None, control=None)
PIXELS = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
FORMATS = ["png", "jpeg", "webp"]


def plain(background: str, **changes: object) -> Recipe:
    return replace(PLAIN, look=Look(background=background), **changes)


@pytest.fixture(scope="module")
def exiftool() -> str:
    found = shutil.which("exiftool")
    if found is None:
        message = "exiftool is not installed (Debian's libimage-exiftool-perl)"
        if os.environ.get("BACKDROP_REQUIRE_EXIFTOOL"):
            pytest.fail(message)
        pytest.skip(message)
    return found


def told(exiftool: str, folder: Path, file: bytes) -> dict[str, object]:
    path = folder / "result"
    path.write_bytes(file)
    command = [exiftool, "-j", "-G1", "-n", "-a", str(path)]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    (document,) = json.loads(done.stdout)
    assert not [name for name in document if name.endswith(("Warning", "Error"))], document
    return document


TERMS = {
    "kept": (PAINTED, "compositeWithTrainedAlgorithmicMedia"),
    "all painted": (replace(PAINTED, fidelity=None), "trainedAlgorithmicMedia"),
    "cut out": (plain("transparent"), "algorithmicallyEnhanced"),
    "cut out of an upload once more": (
        plain("transparent", source="result"), "algorithmicallyEnhanced"
    ),
    "cut out of a result": (
        plain("transparent", source="result", mask_key=OTHER), "composite"
    ),
    "white": (plain("#FFFFFF"), "composite"),
    "a picture that was sent": (plain("image"), "composite"),
    "blurred": (plain("blur"), "algorithmicallyEnhanced"),
    "a result blurred": (
        plain("blur", source="result"), "compositeWithTrainedAlgorithmicMedia"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("recipe", "term"), TERMS.values(), ids=TERMS)
def test_the_term_says_what_is_true(recipe: Recipe, term: str) -> None:
    assert source_type(recipe) == term


@pytest.mark.parametrize(
    ("file_format", "clear"),
    [("png", False), ("jpeg", False), ("webp", False), ("png", True), ("webp", True)],
)
def test_exiftool_reads_the_marking(
    exiftool: str, tmp_path: Path, file_format: str, clear: bool
) -> None:
    alpha = np.full((40, 60, 1), 200, np.uint8)
    pixels = np.dstack([PIXELS, alpha]) if clear else PIXELS
    recipe = replace(PAINTED, model="a<b&c>d")
    file = encode(pixels, Output(file_format), metadata_of(recipe, public=True))
    document = told(exiftool, tmp_path, file)
    assert document["XMP-iptcExt:DigitalSourceType"] == (
        "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
    )
    assert document["XMP-xmp:CreatorTool"] == "Backdrop 0.1.0"
    assert document["XMP-iptcExt:AISystemUsed"] == "a<b&c>d"


@pytest.mark.parametrize("file_format", FORMATS)
def test_without_public_metadata_only_the_marking_is_left(
    exiftool: str, tmp_path: Path, file_format: str
) -> None:
    file = encode(PIXELS, Output(file_format), metadata_of(PAINTED, public=False))
    assert b"stable-diffusion" not in file
    assert b"Perfume" not in file
    document = told(exiftool, tmp_path, file)
    named = {name for name in document if name.startswith(("XMP-", "PNG:Backdrop"))}
    assert named - {"XMP-x:XMPToolkit"} == {
        "XMP-iptcExt:DigitalSourceType",
        "XMP-xmp:CreatorTool",
    }


@pytest.mark.parametrize("file_format", FORMATS)
def test_the_recipe_is_in_pngs_alone_and_its_private_part_in_none(file_format: str) -> None:
    file = encode(PIXELS, Output(file_format), metadata_of(PAINTED, public=True))
    assert (b"Perfume <& backdrop" in file) == (file_format == "png")
    for private in (b"secret/weights", KEY.encode()):
        assert private not in file


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_smaller_copy_keeps_the_marking(exiftool: str, tmp_path: Path, file_format: str) -> None:
    file = encode(PIXELS, Output(file_format), metadata_of(PAINTED, public=True))
    tile = make_tile(file, 128)
    document = told(exiftool, tmp_path, tile)
    assert str(document["XMP-iptcExt:DigitalSourceType"]).endswith(
        "/compositeWithTrainedAlgorithmicMedia"
    )
    assert b"Perfume" not in tile


@pytest.mark.parametrize("kept", [True, False])
def test_a_result_is_marked_as_it_was_made(exiftool: str, tmp_path: Path, kept: bool) -> None:
    alpha = np.zeros((40, 60), np.uint8)
    alpha[10:30, 20:40] = 255
    product = Product(PIXELS, alpha) if kept else None
    made = finished(
        GeneratedImage(PIXELS, 0.1, "demo"),
        replace(PAINTED, fidelity=None),
        OpenedPhoto(PreparedPhoto(PIXELS), product),
        StudioSettings(),
        None,
    )
    document = told(exiftool, tmp_path, made.file)
    term = "compositeWithTrainedAlgorithmicMedia" if kept else "trainedAlgorithmicMedia"
    assert str(document["XMP-iptcExt:DigitalSourceType"]).rpartition("/")[2] == term
