"""The figures by which pictures are judged: each is shown to tell good from bad."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import pytest

from training import draws, judge
from training.prompts import HELD_OUT, PROMPTS
from training.rendering import asking, kinds
from training.rendering.looks import Shown

_TONES = {"silk": (200, 30, 30), "beach": (30, 60, 200), "brick": (40, 160, 40)}


def _pictures(rng: np.random.Generator, count: int) -> tuple[np.ndarray, list[str]]:
    named = [list(_TONES)[i % 3] for i in range(count)]
    base = np.array([_TONES[name] for name in named])[:, None, None]
    noise = rng.integers(-25, 25, (count, 256, 256, 1))
    return np.clip(base + noise, 0, 255).astype(np.uint8), named


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "draws").mkdir()
    for index, name in enumerate(("draws-000", "held-000")):
        pixels, named = _pictures(np.random.default_rng(index), 24)
        np.save(tmp_path / "draws" / f"{name}.npy", pixels)
        said = [{"caption": "x", **asdict(Shown(kind))} for kind in named]
        (tmp_path / "draws" / f"{name}.json").write_text(json.dumps(said))
    return tmp_path


def test_the_classifier_names_what_it_has_learned(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = judge.train(work, 0, rounds=60)
    assert "classifier: 100.0% of 24 renders" in capsys.readouterr().out
    pixels, named = _pictures(np.random.default_rng(9), 6)
    made = list(pixels.astype(np.float32) / 255)
    assert judge.names(model, made) == named
    again = judge.train(work, 1)  # kept, not trained anew
    assert judge.names(again, made) == named
    told = judge.verdict(model, made, ["silk", *named[1:5], "silk"], 3)
    assert told.share == pytest.approx(5 / 6)
    assert told.by_kind == {"silk": pytest.approx(2 / 3), "beach": 1.0, "brick": 1.0}
    assert judge.features(model, made).shape == (6, 128)


def test_frechet_is_none_between_equals_and_grows_with_the_difference() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2_000, 6)), rng.normal(size=(2_000, 6))
    assert judge.frechet(a, a) == pytest.approx(0, abs=1e-9)
    assert judge.frechet(a, b) < 0.05
    assert judge.frechet(a, b + 1) == pytest.approx(6, rel=0.1)
    assert judge.frechet(a, 2 * b) == pytest.approx(6, rel=0.1)


def test_a_blurred_picture_is_less_sharp() -> None:
    picture = np.random.default_rng(0).random((64, 64, 3), np.float32)
    soft = cv2.GaussianBlur(picture, (0, 0), 2)
    sharp, blurred, plain = judge.sharpness([picture, soft, np.full_like(picture, 0.5)])
    assert sharp > 20 * blurred > 0
    assert plain == 0


def test_variety_is_of_pictures_that_differ() -> None:
    grey, white = np.full((256, 256, 3), 0.5, np.float32), np.ones((256, 256, 3), np.float32)
    assert judge.variety([grey, grey]) == 0
    assert judge.variety([grey, white]) == pytest.approx(0.5)


def test_every_kind_is_asked_for_and_no_caption_is_a_held_out_one() -> None:
    assert set(PROMPTS) == set(kinds.NAMES)
    assert set(HELD_OUT) == set(kinds.NAMES) - {"paper"}
    held = {text.lower() for texts in HELD_OUT.values() for text in texts}
    rng = np.random.default_rng(0)
    said = set()
    for kind in HELD_OUT:
        colour = "red" if kinds.KINDS[kind].coloured else None
        shown = Shown(kind, colour, surface="wood", sort="slate", wall="red brick")
        said |= {asking.caption(rng, shown).lower() for _ in range(100)}
    assert not said & held


def test_draws_are_missed_by_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no draws in"):
        draws.load(tmp_path)
