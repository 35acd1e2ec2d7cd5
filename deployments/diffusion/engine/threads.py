"""The engine's threads, and the CUDA streams their work is queued on.

Stepping uses the device's default stream. The other stages have a stream each, so that their
kernels do not stand in line behind or before a step's. Knows no jobs: what is handed on is anything
that holds tensors.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import fields, is_dataclass

import torch

logger = logging.getLogger(__name__)


class Streams:
    """CUDA streams of a device; on other devices all of this does nothing.

    Args:
        device: Where the model's tensors are.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._cuda = device.type == "cuda"

    def own(self) -> AbstractContextManager[object]:
        """A context in which the calling thread queues its work on a new stream."""
        if not self._cuda:
            return nullcontext()
        return torch.cuda.stream(torch.cuda.Stream(self._device))  # type: ignore[no-untyped-call]

    def default(self) -> AbstractContextManager[object]:
        """A context in which the calling thread queues its work on the default stream."""
        if not self._cuda:
            return nullcontext()
        return torch.cuda.stream(torch.cuda.default_stream(self._device))

    def mark(self) -> torch.cuda.Event | None:
        """Mark the end of what the calling thread has queued so far."""
        if not self._cuda:
            return None
        # A blocking event lets the waiting thread sleep, not spin on a core.
        event = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(self._device))
        return event

    def wait(self, mark: torch.cuda.Event | None) -> None:
        """Let the calling thread sleep until the device has come to a mark."""
        if mark is not None:
            mark.synchronize()

    def follow(self, mark: torch.cuda.Event | None) -> None:
        """Let what the calling thread queues from now on start after a mark of another stream."""
        if mark is not None:
            torch.cuda.current_stream(self._device).wait_event(mark)

    def hand_to_stepping(self, state: object) -> None:
        """Wait for what the calling thread has queued, and give its tensors to the stepping stream.

        A tensor's memory goes back to the stream that allocated it, at once when it is dropped. So
        that stream must know of the other that may still read it.

        Args:
            state: Tensors in dataclasses, mappings, lists, tuples and plain objects.
        """
        if self._cuda:
            self.wait(self.mark())
            stepping = torch.cuda.default_stream(self._device)
            for tensor in tensors_in(state):
                if tensor.is_cuda:
                    tensor.record_stream(stepping)


def tensors_in(value: object) -> Iterator[torch.Tensor]:
    """Every tensor that a value holds, however deep, once each."""
    seen: set[int] = set()
    left = [value]
    while left:
        one = left.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, torch.Tensor):
            yield one
        elif isinstance(one, Mapping):
            left.extend(one.values())
        elif isinstance(one, (list, tuple)):
            left.extend(one)
        elif is_dataclass(one) and not isinstance(one, type):
            left.extend(getattr(one, part.name) for part in fields(one))
        elif hasattr(one, "__dict__") and not isinstance(one, (type, torch.nn.Module)):
            left.extend(vars(one).values())


class Stage:
    """A thread that does one thing over and over.

    Args:
        name: Of the thread.
        work: Waits for something to do and does it; false when there will be no more.
        on_death: Called on the thread when `work` raised, which ends it.
        stream: Entered on the thread for as long as it lives.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], bool],
        on_death: Callable[[], None],
        stream: AbstractContextManager[object],
    ) -> None:
        self.name = name
        self._work = work
        self._on_death = on_death
        self._stream = stream
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether it was started and has not ended."""
        return self._thread.is_alive()

    def join(self, timeout_s: float) -> None:
        """Wait for its end, no longer than this."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            with self._stream:
                while self._work():
                    pass
        except BaseException:
            # The thread ends here whatever it was; the engine tells, and the replica is replaced.
            logger.exception("The engine's %s thread died.", self.name)
            self._on_death()
