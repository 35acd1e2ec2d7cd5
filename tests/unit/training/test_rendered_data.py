"""Rendered pictures as training data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from training.rendering import looks, store
from training.rendering.chosen import CHOSEN
from training.rendering.dataset import Pictures, is_held_out
from training.rendering.engine import Rendered
from training.rendering.kinds import NAMES
from training.rendering.looks import Look
from training.rendering.materials import LEVELS
from training.rendering.tone import Pixels


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    albedo = np.broadcast_to(np.asarray(LEVELS, np.float32), (6, 6, 3))
    weights = np.zeros((6, 6, 4), np.float32)
    weights[..., 0] = 1
    picture = Rendered(albedo * 0.5, albedo, weights, np.ones((6, 6), np.uint8))
    for index in range(60):
        facts = {"kind": "paper", "coloured": True, "seen": ["first"], "number": index}
        store.save(store.path_of(tmp_path, index), picture, facts)
    (tmp_path / "000099.part7").write_bytes(b"half a picture")
    return tmp_path


def test_a_draw_shows_what_its_caption_says(folder: Path) -> None:
    pictures, rng = Pictures(folder), np.random.default_rng(0)
    means = {}
    for _ in range(300):
        pixels, shown, text = pictures.draw(rng)
        assert pixels.shape == (6, 6, 3)
        assert text
        if shown.light is None:
            means[shown.colour] = pixels.mean((0, 1))
    assert len(means) > 12
    red, green, blue = means["red"]
    assert red > 0.6 > 0.3 > max(green, blue)
    assert means["white"].min() > 0.8 > 0.25 > means["black"].max()


def test_the_same_generator_draws_the_same(folder: Path) -> None:
    first, again = (Pictures(folder).draw(np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first[0], again[0])
    assert first[1:] == again[1:]


def test_what_is_held_out_stays_so_while_the_folder_grows(folder: Path) -> None:
    kept, held = Pictures(folder), Pictures(folder, "held")
    assert len(kept.paths) + len(held.paths) == 60
    assert not set(kept.paths) & set(held.paths)
    (folder / "000000.npz").unlink()
    assert set(Pictures(folder, "held").paths) <= set(held.paths)
    assert 1 <= len(held.paths) <= 12


def test_held_out_pictures_are_of_every_kind() -> None:
    held = {NAMES[i % len(NAMES)] for i in range(2000) if is_held_out(Path(f"{i:06d}.npz"))}
    assert held == set(NAMES)


def test_all_views_of_a_scene_are_held_out_or_none() -> None:
    for index in range(100):
        views = {is_held_out(store.path_of(Path("any"), index, view)) for view in range(3)}
        assert len(views) == 1


def test_the_chosen_scenes_are_learned_in_one_view_and_never_held_out(folder: Path) -> None:
    place = NAMES.index("paper")
    for number in range(10):
        for view in range(2):
            path = store.path_of(folder, number * len(NAMES) + place, view)
            path.write_bytes((folder / "000001.npz").read_bytes())
    found = Pictures(folder, "chosen").paths
    numbers = [int(p.stem) // len(NAMES) for p in found if int(p.stem) % len(NAMES) == place]
    assert numbers == list(CHOSEN["paper"])
    assert not any(is_held_out(path) for path in found)
    assert set(found) < set(Pictures(folder).paths)


def test_the_chosen_are_of_every_kind_and_sometimes_mirrored(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert set(CHOSEN) == set(NAMES)
    assert all(len(set(numbers)) >= 3 for numbers in CHOSEN.values())
    seen: list[bool] = []
    show = looks.show

    def watched(picture: Rendered, facts: dict[str, Any], look: Look) -> Pixels:
        seen.append(look.mirrored)
        return show(picture, facts, look)

    monkeypatch.setattr(looks, "show", watched)
    rng = np.random.default_rng(0)
    for _ in range(12):
        Pictures(folder, "chosen").draw(rng)
    assert set(seen) == {False, True}


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no rendered pictures in"):
        Pictures(tmp_path)
