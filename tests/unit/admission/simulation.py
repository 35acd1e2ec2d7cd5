"""A model whose images are made side by side, and clients who come again when they are told to.

Everything happens in simulated time. The model works on the first images of its line at once, each
as fast as it would be alone divided by their number; the others wait. A search for a product is
work of the same kind, before the images of its request.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from deployments.admission.places import Places
from deployments.admission_messages import Lease, MadeImage
from deployments.errors import Overloaded


@dataclass(frozen=True)
class Asked:
    """A request: images, steps of each, and whether the product is looked for."""

    images: int
    steps: int
    searches: bool


@dataclass(slots=True, eq=False)
class _Work:
    left_s: float
    lease: str
    then: list[float] = field(default_factory=list)


class SimulatedModel:
    """One model behind its places.

    Args:
        costs: Seconds alone of a search, of an image, and of a step of an image.
        at_once: Images that are made side by side.
        limit: See `Places`.
        max_wait_s: See `Places`.
        seed: Of all that is drawn.
        spread: Standard deviation of the logarithm of what each piece of work takes.
    """

    def __init__(
        self,
        costs: tuple[float, float, float] = (0.45, 0.1, 0.008),
        *,
        at_once: int = 8,
        limit: int = 64,
        max_wait_s: float = 7.0,
        seed: int = 0,
        spread: float = 0.1,
    ) -> None:
        self.places = Places("m", limit, max_wait_s)
        self.random = random.Random(seed)  # noqa: S311 - a simulation
        self.now = 0.0
        self._costs = costs
        self._at_once = at_once
        self._spread = spread
        self._leases: dict[str, tuple[Lease, Callable[[], None]]] = {}
        self._work: list[_Work] = []
        self._calls: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    @property
    def leases(self) -> list[Lease]:
        """What is held."""
        return [lease for lease, _ in self._leases.values()]

    def call(self, at: float, function: Callable[[], None]) -> None:
        """Call a function at a time."""
        heapq.heappush(self._calls, (at, next(self._numbers), function))

    def take(
        self, key: str, asked: Asked, mark: str, done: Callable[[], None] = lambda: None
    ) -> None:
        """Ask for images; raises `Overloaded`."""
        name = str(next(self._numbers))
        images, steps = asked.images, asked.steps
        lease = Lease(name, 1, "m", key, images, steps, images, asked.searches, mark)
        self.places.take(lease, self.leases, self.now)
        self._leases[name] = lease, done
        search, image, step = self._costs
        each = [self._drawn(image + step * steps) for _ in range(images)]
        if asked.searches:
            self._work.append(_Work(self._drawn(search), name, each))
        else:
            self._work += [_Work(seconds, name) for seconds in each]
        self.places.saw(self.leases, self.now)

    def run(self, until: float) -> None:
        """Let time pass."""
        while self.now < until:
            at = min(until, self._calls[0][0]) if self._calls else until
            if self._advance(at):
                continue
            while self._calls and self._calls[0][0] <= self.now + 1e-9:
                heapq.heappop(self._calls)[2]()

    def _advance(self, to: float) -> bool:
        """Let time pass until some work is done, or to a time; whether work was done."""
        running = self._work[: self._at_once]
        if not running:
            self.now = to
            return False
        least = min(work.left_s for work in running)
        passed = min(least * len(running), to - self.now)
        ended = least * len(running) <= to - self.now
        for work in running:
            work.left_s -= passed / len(running)
        self.now = self.now + passed if ended else to
        if ended:
            for work in running:
                if work.left_s <= 1e-9:
                    self._work.remove(work)
                    self._end(work)
        return ended

    def _end(self, work: _Work) -> None:
        lease, done = self._leases[work.lease]
        if work.then:
            self._work += [_Work(seconds, work.lease) for seconds in work.then]
            return
        self.places.made(MadeImage("m", lease.steps, 1 / lease.asked if lease.searches else 0))
        if lease.images > 1:
            self._leases[work.lease] = replace(lease, images=lease.images - 1), done
        else:
            del self._leases[work.lease]
        self.places.saw(self.leases, self.now)
        if lease.images == 1:
            done()

    def _drawn(self, seconds: float) -> float:
        return seconds * self.random.lognormvariate(0, self._spread)


class SimulatedClient:
    """Asks again and again, and comes back when it is told to.

    Args:
        model: Who is asked.
        key: Its API key's name.
        draw: What it asks for next.

    Attributes:
        waits: (when it was refused first, seconds told then, seconds until it was let in).
        images: Images made for it.
        refusals: How often it was refused.
    """

    def __init__(
        self, model: SimulatedModel, key: str, draw: Callable[[random.Random], Asked]
    ) -> None:
        self._model = model
        self._key = key
        self._draw = draw
        self._requests = itertools.count()
        self.waits: list[tuple[float, float, float]] = []
        self.images = 0
        self.refusals = 0
        model.call(model.random.random(), self._ask)

    def _ask(self) -> None:
        asked, mark = self._draw(self._model.random), f"{id(self)} {next(self._requests)}"
        self._try(asked, mark, None)

    def _try(self, asked: Asked, mark: str, refused: tuple[float, float] | None) -> None:
        model = self._model

        def done() -> None:
            self.images += asked.images
            model.call(model.now + 1e-6, self._ask)

        try:
            model.take(self._key, asked, mark, done)
        except Overloaded as refusal:
            # Retry-After has whole seconds, and the way there and back takes a moment.
            wait_s = max(1, math.ceil(refusal.retry_after_s or 0))
            self.refusals += 1
            first = refused or (model.now, wait_s)
            again = model.now + wait_s + 0.1 * model.random.random()
            model.call(again, lambda: self._try(asked, mark, first))
        else:
            if refused is not None:
                begun, told = refused
                self.waits.append((begun, told, model.now - begun))
