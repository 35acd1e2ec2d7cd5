"""What happens while a request's images are made."""

from __future__ import annotations

from dataclasses import dataclass

from deployments.composition import FileFormat
from deployments.jobs import Fidelity


@dataclass(frozen=True, slots=True)
class Waiting:
    """How far a request is in the line.

    Attributes:
        place: From 1 on; those that are worked on are counted.
        expected_s: Seconds after which it is probably done; None where that is not known.
    """

    place: int
    expected_s: float | None


@dataclass(frozen=True, slots=True)
class ImageProgress:
    """Image `index` of the request has done `step` of its `steps`.

    An image that is made once more begins again at its first step.
    """

    index: int
    step: int
    steps: int


@dataclass(frozen=True, slots=True)
class Timings:
    """Where an image's time went; of an image that was made twice, the sum.

    Attributes:
        engine_s: Seconds in the model replica's engine, its queue included.
        handle_s: Seconds between asking for it and getting it, less `engine_s`: the way there and
            back.
        finish_s: Seconds to compose, measure, encode and store it.
    """

    engine_s: float
    handle_s: float
    finish_s: float

    def __add__(self, other: Timings) -> Timings:
        """Both times."""
        return Timings(
            self.engine_s + other.engine_s,
            self.handle_s + other.handle_s,
            self.finish_s + other.finish_s,
        )


@dataclass(frozen=True, slots=True)
class ImageStored:
    """Image `index` of the request, made from `seed`, is stored under `key`.

    Attributes:
        index: Its place in the request.
        key: Its object key.
        seed: The seed that it was made from; None where no model painted it.
        fidelity: How true it is to the product; None where none was kept.
        width: In pixels.
        height: In pixels.
        file_format: Of its file.
        warnings: Sentences about what could not be honoured.
        timings: Where its time went.
    """

    index: int
    key: str
    seed: int | None
    fidelity: Fidelity | None
    width: int
    height: int
    file_format: FileFormat
    warnings: tuple[str, ...]
    timings: Timings


@dataclass(frozen=True, slots=True)
class ImageWithheld:
    """Image `index` of the request was made, and is neither stored nor delivered.

    Attributes:
        index: Its place in the request.
        reason: Why, for the caller.
        timings: Where its time went.
    """

    index: int
    reason: str
    timings: Timings


Made = ImageStored | ImageWithheld
Event = ImageProgress | Made
