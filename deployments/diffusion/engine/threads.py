"""The engine's threads, and the CUDA streams on which they queue their work.

Stepping uses the device's default stream. Preparing and decoding have a stream each, so that their
kernels do not wait for a step's kernels, nor a step's for theirs.
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
    """CUDA streams of a device; on other devices every method does nothing.

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
        """Let the calling thread sleep until the device has reached a mark."""
        if mark is not None:
            mark.synchronize()

    def follow(self, mark: torch.cuda.Event | None) -> None:
        """Start what the calling thread queues from now on only after another stream's mark."""
        if mark is not None:
            torch.cuda.current_stream(self._device).wait_event(mark)

    def hand_to_stepping(self, state: object) -> None:
        """Wait for what the calling thread has queued, and hand its tensors to the stepping stream.

        When a tensor is dropped, its memory goes back at once to the stream that allocated it. So
        the allocator must know of the other stream, which may still read it.

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
    """Every tensor that a value holds at any depth, each once."""
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
    """A thread that repeats one piece of work.

    Args:
        name: The thread's name.
        work: Waits for something to do and does it; false when there will be no more.
        on_death: Called on the thread when `work` raises, which ends the thread.
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
        """Start the thread."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread was started and has not ended."""
        return self._thread.is_alive()

    def join(self, timeout_s: float) -> None:
        """Wait for the thread's end, at most so many seconds."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            with self._stream:
                while self._work():
                    pass
        except BaseException:
            # Whatever it was, the thread ends here. The health check then fails, and Serve replaces
            # the replica.
            logger.exception("the engine's %s thread died", self.name)
            self._on_death()
