"""Places in the decoder are held until its threads have ended, whoever waits for them."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import numpy as np
import pytest
from PIL import Image
from upload_samples import gradient, saved

from deployments.errors import InvalidImage, InvalidRequest, Overloaded
from deployments.ingress.core import decoder
from deployments.ingress.core.decoder import THREADS, Decoder, PixelRoom
from deployments.ingress.core.uploads import UploadRules
from deployments.jobs import Photo
from deployments.settings import UploadLimits

PICTURE = saved(Image.fromarray(gradient()), "PNG")


class Gate:
    """A decoder that stays in its thread until it is let go; counts those that are inside."""

    def __init__(self) -> None:
        self.inside = self.begun = self.most = 0
        self.open = threading.Event()
        self._lock = threading.Lock()

    def decode(self, data: bytes, rules: UploadRules) -> Photo:
        with self._lock:
            self.begun += 1
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.open.wait(60)
        with self._lock:
            self.inside -= 1
        return Photo(np.zeros((1, 1, 3), np.uint8))


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.open.set()


async def until(true: Callable[[], bool]) -> None:
    while not true():
        await asyncio.sleep(0.005)


async def test_it_decodes() -> None:
    made = Decoder(UploadLimits(), 8)
    photo = await made.photo(PICTURE)
    assert photo.pixels.shape == (8, 12, 3)
    assert (await made.mask(saved(Image.new("L", (24, 16), 9), "PNG"), photo)).shape == (8, 12)
    with pytest.raises(InvalidRequest, match="the mask is 24 x 15 pixels, the photo 24 x 16"):
        await made.mask(saved(Image.new("L", (24, 15), 9), "PNG"), photo)
    with pytest.raises(InvalidImage, match="image: the file is empty"):
        await made.photo(b"")


async def test_a_cancelled_request_holds_its_place_while_its_thread_runs(gate: Gate) -> None:
    made = Decoder(UploadLimits(), 1536)
    for _ in range(5):
        requests = [asyncio.create_task(made._decode(gate.decode, b"")) for _ in range(4)]
        await until(lambda: gate.begun == THREADS)
        for request in requests:
            request.cancel()
        await asyncio.wait(requests)
    assert gate.begun == THREADS
    waiting = asyncio.create_task(made.photo(PICTURE))
    assert not (await asyncio.wait([waiting], timeout=0.2))[0]
    gate.open.set()
    assert (await waiting).pixels.shape == (16, 24, 3)
    # Those that were cancelled before they began never do.
    assert gate.begun == gate.most == THREADS


def test_room_for_pixels_is_waited_for() -> None:
    room = PixelRoom(100)
    order: list[str] = []

    def take(pixels: int) -> None:
        with room.taking(pixels):
            order.append(str(pixels))

    with ThreadPoolExecutor(2) as threads, ExitStack() as held:
        held.enter_context(room.taking(60))
        large = threads.submit(take, 1_000)  # more than there is: waits until all is free
        threads.submit(take, 40).result(60)
        assert order == ["40"]
        assert not large.done()
        held.close()
        large.result(60)
    assert order == ["40", "1000"]
    with room.taking(100):
        pass


def test_room_is_given_back_when_decoding_fails() -> None:
    room = PixelRoom(10)
    for _ in range(3):
        with pytest.raises(ValueError, match="damaged"), room.taking(10):
            raise ValueError("damaged")
    with room.taking(10):
        pass


async def test_decoded_pixels_in_flight_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder, "MOST_HELD_BYTES", 3 * 16 * 24 * 3)
    made = Decoder(UploadLimits(), 1536)
    held = [await made.photo(PICTURE) for _ in range(3)]
    with pytest.raises(Overloaded, match="no room for another photo") as caught:
        await made.photo(PICTURE)
    assert caught.value.retry_after_s > 0
    del caught
    held.pop()
    gc.collect()
    held.append(await made.photo(PICTURE))
    assert len(held) == 3
