"""Rendered pictures on disk, and who renders which."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from training.rendering import engine, kinds, store, work
from training.rendering.engine import Rendered
from training.rendering.work import Order


def _picture(seed: int, side: int = 8) -> Rendered:
    rng = np.random.default_rng(seed)
    colour = rng.exponential(0.5, (side, side, 3)).astype(np.float32)
    albedo = rng.uniform(0, 1, (side, side, 3)).astype(np.float32)
    weights = rng.dirichlet(np.ones(5), (side, side))[..., :4].astype(np.float32)
    return Rendered(colour, albedo, weights, rng.integers(0, 9, (side, side)).astype(np.uint8))


def _order(folder: Path, **rest: Any) -> Order:
    names = ("paper", "podium", "arch")
    return Order(Path("none"), folder, 0, rest.pop("count", 8), names, 8, **rest)


def test_a_picture_comes_back_as_it_was_kept(tmp_path: Path) -> None:
    picture, path = _picture(0), store.path_of(tmp_path, 12)
    store.save(path, picture, {"kind": "arch", "coloured": True})
    found, facts = store.load(path)
    assert path.name == "000012.npz"
    assert facts == {"kind": "arch", "coloured": True}
    np.testing.assert_allclose(found.colour, picture.colour, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found.albedo, picture.albedo, atol=5e-3)
    np.testing.assert_allclose(found.weights, picture.weights, atol=3e-3)
    np.testing.assert_array_equal(found.shapes, picture.shapes)


def test_dark_surfaces_keep_their_steps(tmp_path: Path) -> None:
    picture = _picture(0)
    dark = np.linspace(0.004, 0.02, picture.albedo.size, dtype=np.float32)
    kept = Rendered(picture.colour, dark.reshape(8, 8, 3), picture.weights, picture.shapes)
    store.save(store.path_of(tmp_path, 0), kept, {})
    found, _ = store.load(store.path_of(tmp_path, 0))
    np.testing.assert_allclose(found.albedo, kept.albedo, rtol=0.07)


def test_a_damaged_picture_is_named(tmp_path: Path) -> None:
    path = store.path_of(tmp_path, 3)
    store.save(path, _picture(0), {})
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match=r"000003\.npz is no rendered picture"):
        store.load(path)


def test_any_beginning_of_the_work_has_all_kinds_alike() -> None:
    order = Order(Path("none"), Path("none"), 0, 1000)
    seen = dict.fromkeys(kinds.NAMES, 0)
    for _, name, number in work.pictures(order):
        assert number == seen[name]
        seen[name] += 1
        assert max(seen.values()) - min(seen.values()) <= 1


def test_shards_share_the_work_without_a_gap() -> None:
    whole = list(work.pictures(_order(Path("none"), count=20)))
    parts = [
        list(work.pictures(_order(Path("none"), count=20, shard=i, shards=3))) for i in (0, 1, 2)
    ]
    assert sorted(itertools.chain(*parts)) == whole
    assert {name for _, name, _ in parts[1]} == {"paper", "podium", "arch"}


def test_a_run_renders_what_is_missing_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    def render(scene: Any, seed: int, count: int, size: int) -> list[Rendered]:
        asked.append(f"{scene.kind} {seed} {scene.samples}")
        return [_picture(seed + 100 * view, size) for view in range(count)]

    monkeypatch.setattr(engine, "render_views", render)
    assert work.run(_order(tmp_path, count=4, effort=0.5)) == 4
    assert asked == ["paper 0 16", "podium 0 16", "arch 0 16", "paper 1 16"]
    kept = store.path_of(tmp_path, 1).read_bytes()
    store.path_of(tmp_path, 2).unlink()
    assert work.run(_order(tmp_path, count=5), every_s=0) == 2
    assert [a[:-3] for a in asked[4:]] == ["arch 0", "podium 1"]
    assert store.path_of(tmp_path, 1).read_bytes() == kept
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"{i:06d}.npz" for i in range(5)]
    assert "4/5 scenes" in capsys.readouterr().out
    _, facts = store.load(store.path_of(tmp_path, 4))
    assert (facts["kind"], facts["number"], facts["seed"]) == ("podium", 1, 0)
    assert facts["seen"] == ["first", "second", "metal", "light"]


def test_a_scene_is_done_when_all_its_views_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def render(scene: Any, seed: int, count: int, size: int) -> list[Rendered]:
        return [_picture(seed + 100 * view, size) for view in range(count)]

    monkeypatch.setattr(engine, "render_views", render)
    assert work.run(_order(tmp_path, count=2, views=3)) == 2
    names = [p.name for p in sorted(tmp_path.iterdir())]
    assert names == [f"00000{i}{view}.npz" for i in (0, 1) for view in ("", "v1", "v2")]
    facts = [store.load(store.path_of(tmp_path, 1, view))[1] for view in range(3)]
    assert [f["view"] for f in facts] == [0, 1, 2]
    store.path_of(tmp_path, 1, 2).unlink()
    assert work.run(_order(tmp_path, count=2, views=3)) == 1
    assert store.path_of(tmp_path, 1, 2).exists()


def test_orders_that_cannot_be_kept_are_refused() -> None:
    with pytest.raises(ValueError, match="shard 2 is not below 2"):
        _order(Path("none"), shard=2, shards=2)
    with pytest.raises(ValueError, match="names has no kinds of scenes called moon"):
        Order(Path("none"), Path("none"), 0, 1, ("moon", "arch"))
