"""Looks through a store for what is damaged, half there or orphaned: `python -m storage.fsck`.

It changes no object. Every one is read whole, so it takes as long as a copy of the store would. It
may run beside the service: what is younger than `--age` may belong to a request that still runs, so
of that only damage is told.
"""

import argparse
import logging
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from storage.errors import CorruptObject, ObjectNotFound, StorageError
from storage.names import (
    CUTOUTS,
    MASKS,
    OWNED,
    PAIRS,
    REFERENCES,
    RESULTS,
    SOURCES,
    TILES,
    cutout_names,
    format_of,
    image_name,
    image_names,
    keys_of,
    mask_name,
    reference_name,
    source_name,
)
from storage.opening import open_store
from storage.reading import check_picture, document_of
from storage.store import ImageStore, ObjectInfo
from storage.store_arguments import add_store, settings_of

_BESIDE = {RESULTS: "recipe", CUTOUTS: "record"}
"""By folder, what an image there has beside it."""


@dataclass
class Findings:
    """What is wrong in a store, as names of objects with what is wrong about them.

    Attributes:
        objects: How many were looked at.
        damaged: Their content is not what was written, or not what their name promises.
        half_there: Something that belongs to them is missing.
        orphaned: Nothing needs them any more.
        unverified: Names of objects without a checksum: written before there were any, or copied
            without it.
    """

    objects: int = 0
    damaged: dict[str, str] = field(default_factory=dict)
    half_there: dict[str, str] = field(default_factory=dict)
    orphaned: dict[str, str] = field(default_factory=dict)
    unverified: list[str] = field(default_factory=list)

    @property
    def lines(self) -> Iterator[str]:
        """One line for each finding, and one that counts them."""
        for kind, found in (
            ("damaged", self.damaged),
            ("half there", self.half_there),
            ("orphaned", self.orphaned),
        ):
            yield from (f"{kind}: {name} {what}" for name, what in sorted(found.items()))
        yield (
            f"{self.objects} objects: {len(self.damaged)} damaged, {len(self.half_there)} half "
            f"there, {len(self.orphaned)} orphaned, {len(self.unverified)} without a checksum"
        )


def examine(store: ImageStore, settled: datetime) -> Findings:
    """Look at every object of a store.

    Args:
        store: The store.
        settled: What was written after this time may still be incomplete; timezone-aware.

    Raises:
        StorageError: The store cannot be listed or read.
    """
    found = Findings()
    # Sources before what refers to them: who refers, does so first. See `storage.lineage`.
    infos: dict[str, ObjectInfo] = {}
    for folder in (SOURCES, MASKS, TILES, *PAIRS, REFERENCES, ""):
        infos |= {info.name: info for info in store.list(folder) if info.name not in infos}
    for name, info in infos.items():
        try:
            document = _read(store, name, found)
        except ObjectNotFound:  # removed meanwhile
            continue
        except CorruptObject as error:
            found.damaged[name] = error.reason
            continue
        if info.modified > settled:
            continue
        key, other = keys_of(name)
        folder = f"{name.partition('/')[0]}/"
        if folder in PAIRS:
            images_of, recipe_of = PAIRS[folder]
            images = [image for image in images_of(key) if image in infos]
            if name == recipe_of(key) and not images:
                found.half_there[name] = "has no image"
            elif name != recipe_of(key) and recipe_of(key) not in infos:
                found.half_there[name] = f"has no {_BESIDE[folder]}"
            elif document is not None:
                if folder == RESULTS:
                    _check_format(images, name, document, found)
                _check_lineage(images[0], name, document, infos, found)
        elif folder == REFERENCES:
            if not any(image in infos for image in (*image_names(other), *cutout_names(other))):
                found.orphaned[name] = "marks what a result needs that is not there"
        elif folder == OWNED and not any(image in infos for image in image_names(other)):
            found.orphaned[name] = "says whose a result is that is not there"
        elif folder == TILES and not any(image in infos for image in image_names(key)):
            found.orphaned[name] = "is a smaller copy of no result"
        elif folder in (SOURCES, MASKS) and not _referred(store, key):
            found.orphaned[name] = "is needed by no result"
    for findings in (found.half_there, found.orphaned):
        # What was removed since it was listed goes piece by piece.
        for name in [name for name in findings if not _is_there(store, name)]:
            del findings[name]
    return found


def _is_there(store: ImageStore, name: str) -> bool:
    folder, key = name.partition("/")[0], keys_of(name)[0]
    return any(info.name == name for info in store.list(f"{folder}/{key}"))


def _read(store: ImageStore, name: str, found: Findings) -> dict[str, object] | None:
    """Read an object; its content, where it is a recipe or a record."""
    stored = store.get(name)
    found.objects += 1
    if not stored.verified:
        found.unverified.append(name)
    if not name.endswith(".json"):
        check_picture(name, stored.data)
        return None
    document = document_of(name, stored.data)
    return document if name.startswith(tuple(PAIRS)) else None


def _referred(store: ImageStore, source: str) -> bool:
    return next(iter(store.list(REFERENCES + source)), None) is not None


def _check_format(
    images: list[str], beside: str, recipe: dict[str, object], found: Findings
) -> None:
    """See that the image of a result is what its recipe says."""
    try:
        named = image_name(keys_of(beside)[0], format_of(recipe))
    except ValueError:
        found.damaged[beside] = "has a file_format that is none"
        return
    for image in images:
        if image != named:
            found.orphaned[image] = "is not of the format that its recipe says"


def _check_lineage(
    image: str,
    beside: str,
    recipe: dict[str, object],
    infos: dict[str, ObjectInfo],
    found: Findings,
) -> None:
    """See that what a result or a cut-out was made from is there, and marked as needed."""
    result = keys_of(image)[0]
    for field_name, name_of in (("photo_key", source_name), ("mask_key", mask_name)):
        source = recipe.get(field_name)
        if source is None and field_name == "mask_key":
            continue
        try:
            needed = (name_of(str(source)), reference_name(str(source), result))
        except StorageError:
            found.damaged[beside] = f"has a {field_name} that is no key"
            continue
        for name in needed:
            if name not in infos:
                found.half_there[image] = f"needs {name}, which is not there"


def main() -> None:
    """Entry point: look at the store that the arguments name; exit with 1 where all is not well."""
    parser = argparse.ArgumentParser(prog="python -m storage.fsck", description=__doc__)
    add_store(parser)
    parser.add_argument(
        "--age", type=float, default=3600, help="seconds after which no request still writes"
    )
    parser.add_argument("--unverified", action="store_true", help="name what has no checksum too")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        found = examine(
            open_store(settings_of(options)), datetime.now(UTC) - timedelta(seconds=options.age)
        )
    except (StorageError, ValueError) as error:
        sys.exit(f"storage.fsck: {error}")
    if options.unverified:
        for name in sorted(found.unverified):
            print(f"without a checksum: {name}")
    for line in found.lines:
        print(line)
    if found.damaged or found.half_there or found.orphaned:
        sys.exit(1)


if __name__ == "__main__":
    main()
