"""Whether what a store holds belongs together, as `storage.fsck` sees it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from storage import fsck
from storage.names import MASKS, RESULTS, SOURCES, keys_of
from storage.store import ImageStore


@dataclass
class Findings:
    """What was found; `wrong` is empty where all is well.

    Attributes:
        images: Keys of the images.
        wrong: One sentence for each object that is damaged, and for each image without its recipe,
            its photo, its product or their marks.
        unfinished: Names of recipes without an image: a writer died between the two. The retention
            sweep removes them.
        unneeded: Names of sources that no mark keeps.
    """

    images: list[str]
    wrong: list[str]
    unfinished: list[str]
    unneeded: list[str]


def examine(store: ImageStore) -> Findings:
    """Look at every object of a store in which nobody writes now."""
    found = fsck.examine(store, settled=datetime.now(UTC) + timedelta(days=1))
    unfinished = sorted(name for name in found.half_there if name.endswith(".json"))
    broken = {**found.damaged, **found.half_there}
    return Findings(
        images=sorted(
            keys_of(info.name)[0] for info in store.list(RESULTS) if not info.name.endswith(".json")
        ),
        wrong=sorted(f"{name} {what}" for name, what in broken.items() if name not in unfinished),
        unfinished=unfinished,
        unneeded=sorted(name for name in found.orphaned if name.startswith((SOURCES, MASKS))),
    )
