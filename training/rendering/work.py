"""Rendering a data set: which picture is which, who renders it, and how far it has come."""

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.rendering import engine, kinds, looks, store


@dataclass(frozen=True)
class Order:
    """What to render.

    Args:
        panoramas: the hdri folder of npm's @pmndrs/assets.
        folder: where the pictures go.
        seed: of the data set.
        count: of scenes in all.
        names: kinds of scenes, one after the other; each round has every one of them once.
        size: of a picture's side, in pixels.
        effort: times each scene's own number of samples a pixel.
        views: pictures of each scene.
        shard: which rounds this process renders: those whose number leaves `shard` over `shards`.
        shards: how many processes share the work.
    """

    panoramas: Path
    folder: Path
    seed: int
    count: int
    names: tuple[str, ...] = kinds.NAMES
    size: int = 256
    effort: float = 1.0
    views: int = 1
    shard: int = 0
    shards: int = 1

    def __post_init__(self) -> None:
        unknown = sorted(set(self.names) - set(kinds.NAMES))
        if unknown:
            raise ValueError(f"names has no kinds of scenes called {', '.join(unknown)}")
        if not 0 <= self.shard < self.shards:
            raise ValueError(f"shard {self.shard} is not below {self.shards}")


def pictures(order: Order) -> Iterator[tuple[int, str, int]]:
    """Index, kind and number within the kind of each scene of this shard.

    However early it ends, no kind has more than one scene over any other.
    """
    for index in range(order.count):
        round_, place = divmod(index, len(order.names))
        if round_ % order.shards == order.shard:
            yield index, order.names[place], round_


def render_one(order: Order, index: int, name: str, number: int) -> None:
    """Render one scene and keep its views."""
    scene = kinds.describe(name, number, order.seed, order.panoramas)
    scene.samples = max(1, round(scene.samples * order.effort))
    found = engine.render_views(scene, number, order.views, order.size)
    facts: dict[str, Any] = dict(scene.facts)
    facts.update(kind=name, number=number, seed=order.seed, samples=scene.samples)
    facts["shapes"] = sorted(scene.groups)  # shape n of the picture is the name at n - 1
    for view, picture in enumerate(found):
        seen = looks.seen_groups(picture)
        store.save(
            store.path_of(order.folder, index, view), picture, {**facts, "seen": seen, "view": view}
        )


def _is_there(order: Order, index: int) -> bool:
    return all(store.path_of(order.folder, index, view).exists() for view in range(order.views))


def run(order: Order, every_s: float = 60.0) -> int:
    """Render what is not there yet; a line a minute says how far it is.

    Returns:
        How many scenes were rendered.
    """
    order.folder.mkdir(parents=True, exist_ok=True)
    mine = list(pictures(order))
    left = [p for p in mine if not _is_there(order, p[0])]
    began = said = time.monotonic()
    for done, (index, name, number) in enumerate(left):
        now = time.monotonic()
        if done and now - said >= every_s:
            said = now
            each = (now - began) / done
            hours = each * (len(left) - done) / 3600
            there = len(mine) - len(left) + done
            print(f"{there}/{len(mine)} scenes, {each:.2f} s each, {hours:.1f} h to go", flush=True)
        try:
            render_one(order, index, name, number)
        except Exception:
            print(f"scene {index} ({name}, number {number}) failed", file=sys.stderr, flush=True)
            raise
    print(f"{len(mine)}/{len(mine)} scenes", flush=True)
    return len(left)
