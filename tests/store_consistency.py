"""Whether what a store holds belongs together: images, recipes, and what they were made from."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from storage.errors import CorruptObject
from storage.lineage import load_png
from storage.names import (
    MASKS,
    REFERENCES,
    RESULTS,
    SOURCES,
    image_name,
    keys_of,
    mask_name,
    recipe_name,
    reference_name,
    source_name,
)
from storage.store import ImageStore


@dataclass
class Findings:
    """What was found; `wrong` is empty where all is well.

    Attributes:
        images: Keys of the images.
        wrong: One sentence for each image that cannot be used whole: without its recipe, its photo,
            its product or their marks, or damaged.
        unfinished: Names of recipes without an image: a writer died between the two. The retention
            sweep removes them.
        unneeded: Names of sources that no mark keeps.
    """

    images: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    unneeded: list[str] = field(default_factory=list)


def examine(store: ImageStore, *, read_images: bool = True) -> Findings:
    """Look at every object of a store in which nobody writes now.

    Args:
        store: The store.
        read_images: Also see that each image is a PNG.
    """
    names = {
        info.name for folder in (RESULTS, SOURCES, MASKS, REFERENCES) for info in store.list(folder)
    }
    found = Findings()
    for name in sorted(name for name in names if name.startswith(RESULTS)):
        key = keys_of(name)[0]
        if name.endswith(".json"):
            if image_name(key) not in names:
                found.unfinished.append(name)
            continue
        found.images.append(key)
        if recipe_name(key) not in names:
            found.wrong.append(f"{name} has no recipe")
            continue
        recipe = json.loads(store.get(recipe_name(key)).data)
        needed = [source_name(recipe["photo_key"]), reference_name(recipe["photo_key"], key)]
        if recipe["mask_key"] is not None:
            needed += [mask_name(recipe["mask_key"]), reference_name(recipe["mask_key"], key)]
        found.wrong += [f"{name} needs {other}" for other in needed if other not in names]
        if read_images:
            try:
                load_png(store, name)
            except CorruptObject as error:
                found.wrong.append(str(error))
    marked = {keys_of(name)[0] for name in names if name.startswith(REFERENCES)}
    found.unneeded = sorted(
        name
        for name in names
        if name.startswith((SOURCES, MASKS)) and keys_of(name)[0] not in marked
    )
    return found
