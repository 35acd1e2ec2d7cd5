"""Room for images: a bound on what is in flight, taken whole or not at all.

Counts one ingress replica's images of one model. Knows no clocks: the wait it names comes from the
engine times it is told.
"""

from __future__ import annotations

from deployments.errors import Overloaded


class Admission:
    """A bounded number of places for images of one model.

    Args:
        model: Catalog id, for the error's sentence.
        limit: Places.
    """

    SMOOTHING = 0.2

    def __init__(self, model: str, limit: int) -> None:
        self._model = model
        self._limit = limit
        self._taken = 0
        self._engine_s: float | None = None

    @property
    def taken(self) -> int:
        """Places in use."""
        return self._taken

    def take(self, images: int) -> None:
        """Take places for all images of a request; every one is given back by `release`.

        Raises:
            Overloaded: There are not enough; its wait is how long they take to come free.
        """
        missing = self._taken + images - self._limit
        if missing > 0:
            raise Overloaded(
                f"model {self._model!r} has {self._taken} images in flight and takes at most "
                f"{self._limit}; {images} more do not fit now",
                retry_after_s=self._wait_s(missing),
            )
        self._taken += images

    def release(self, engine_s: float | None = None) -> None:
        """Give one place back.

        Args:
            engine_s: Seconds the image took from submission to pixels; None if it was not made.
        """
        self._taken -= 1
        if engine_s is not None:
            previous = self._engine_s if self._engine_s is not None else engine_s
            self._engine_s = previous + self.SMOOTHING * (engine_s - previous)

    def _wait_s(self, missing: int) -> float:
        """Seconds until `missing` places are free, by Little's law.

        Images leave at a rate of (images in flight) / (time an image takes).
        """
        if self._engine_s is None:
            return 1.0
        return missing * self._engine_s / max(self._taken, 1)
