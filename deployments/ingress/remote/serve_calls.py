"""Calls to another deployment: Serve's handles become awaitables."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import ray
from anyio import to_thread
from ray.serve.context import _get_global_client
from ray.serve.exceptions import DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle, DeploymentResponse

from deployments.errors import ImageNotFound, ReplicaLost, Unavailable
from deployments.ingress.remote.failures import RETRY_AFTER_S, translate
from deployments.ingress.remote.retries import Attempts, Patience, RetryObserver

logger = logging.getLogger(__name__)

PROBE_S = 5.0
"""Seconds without a first answer after which a deployment is asked whether it can answer at all."""

NONE = Patience()

T = TypeVar("T")
Handle = DeploymentHandle[Any]


class Callee:
    """A deployment and what to call it in sentences.

    Args:
        handle: The deployment.
        name: What sentences call it.
        observer: Hears of every call that is made again.
        outage_s: Seconds after the loss of its last replica for which callers wait for the next.
    """

    def __init__(self, handle: Handle, name: str, observer: RetryObserver, outage_s: float) -> None:
        self.name = name
        self._outage_s = outage_s
        self._handle = handle
        self._observer = observer
        self._probing = asyncio.Lock()
        self._probed = -math.inf
        self._away_since: float | None = None

    def attempts(self, patience: Patience) -> Attempts:
        """The attempts of one call."""
        return Attempts(patience, self._handle.deployment_name, self._observer)

    def call(
        self, method: Callable[..., Awaitable[T]], *args: object, patience: Patience = NONE
    ) -> Reply[T]:
        """Call a method; a reply among the arguments goes as its reference and passes us by.

        Args:
            method: The method, as a protocol of `callees` declares it.
            args: Its arguments.
            patience: Whether it may be repeated, and how often.
        """
        return Reply(self, method.__name__, args, patience)

    def find(
        self,
        method: Callable[..., Awaitable[T | None]],
        *args: object,
        patience: Patience = NONE,
        missing: str,
    ) -> Reply[T]:
        """Call a method whose answer None means that there is no such image.

        Args:
            method: See `call`.
            args: See `call`.
            patience: See `call`.
            missing: What ImageNotFound says then.
        """
        return Reply(self, method.__name__, args, patience, missing)

    def send(self, method: str, args: Iterable[object]) -> DeploymentResponse[Any]:
        """Send a call once."""
        response: DeploymentResponse[Any] = getattr(self._handle, method).remote(*args)
        return response

    async def stream(
        self, method: Callable[..., AsyncGenerator[T]], *args: object
    ) -> AsyncGenerator[T]:
        """Call a generator method once; closing early cancels the call."""
        streaming = getattr(self._handle.options(stream=True), method.__name__)
        items = streaming.remote(*_references(args))
        try:
            yield await self.patiently(anext(items))
            async for item in items:
                yield item
        except StopAsyncIteration:
            return
        except asyncio.CancelledError:
            if _is_cancelled():
                raise
            raise self._gave_up() from None
        except Exception as error:
            raise translate(error, self.name) from None
        finally:
            # A call that never reached a replica raises its failure here once more.
            with suppress(Exception):
                items.cancel()

    async def patiently(self, answer: Awaitable[T]) -> T:
        """Wait for an answer, but not for one that can never come.

        Serve refuses a call to a deployment that has failed to start, but never tells one that was
        waiting for its first replica by then, and a deployment that has once worked may wait for
        its next replica for ever. So a deployment that is silent is called again.

        Raises:
            ReplicaLost: The replica gave the call up, and nobody here did.
            Unavailable: There has been no replica for too long.
            BaseException: What the call raised.
        """
        waiting = asyncio.ensure_future(answer)
        try:
            while not (await asyncio.wait([waiting], timeout=PROBE_S))[0]:
                await self._probe()
            self._away_since = None
            if waiting.cancelled():
                raise self._gave_up()
            return waiting.result()
        finally:
            waiting.cancel()
            waiting.add_done_callback(_heard)

    async def _probe(self) -> None:
        # Once for all who wait: many do when there is most to do.
        async with self._probing:
            if time.monotonic() - self._probed >= PROBE_S:
                self._away_since = await self._absence()
                self._probed = time.monotonic()
        since = self._away_since
        if since is not None and time.monotonic() - since > self._outage_s:
            raise Unavailable(f"{self.name} is not available now", RETRY_AFTER_S)

    async def _absence(self) -> float | None:
        """Since when it has been without a replica; None where it has one, or is only starting."""
        try:
            await asyncio.wait_for(self._handle.check_health.remote(), timeout=1)
        except DeploymentUnavailableError:
            raise
        except (Exception, asyncio.CancelledError):
            # No answer, or the trouble of one replica, which may be another than the caller's.
            if _is_cancelled():
                raise
        else:
            return None
        if not await to_thread.run_sync(self._has_lost_all):
            return None
        return self._away_since or time.monotonic()

    def _has_lost_all(self) -> bool:
        client = _get_global_client()
        # Not `serve.status()`, which is made of this and cannot run in several threads at once.
        applications = client.get_serve_details()["applications"]  # type: ignore[union-attr]
        deployment = applications[self._handle.app_name]["deployments"][
            self._handle.deployment_name
        ]
        return deployment["status"] == "UNHEALTHY" and not any(
            replica["state"] == "RUNNING" for replica in deployment["replicas"]
        )

    def _gave_up(self) -> ReplicaLost:
        logger.warning("%s gave up a call by itself", self.name)
        return ReplicaLost(f"{self.name} is not available now", RETRY_AFTER_S)


class Reply(Awaitable[T]):
    """A call's answer: awaited it gives the value, handed on it gives its reference.

    A call that fails is made again as far as its patience goes, when somebody awaits it. It may
    have failed because what it was given is lost, with the node that held it. So before a call is
    repeated, the replies among its arguments are awaited, which repeats them too if need be, and
    this time their values travel through us.

    Args:
        callee: Whom to call.
        method: Its name.
        args: Its arguments; replies among them go as references.
        patience: Whether it may be repeated, and how often.
        missing: What ImageNotFound says where the answer is None; without it None is an answer.
    """

    def __init__(
        self,
        callee: Callee,
        method: str,
        args: Sequence[object],
        patience: Patience,
        missing: str | None = None,
    ) -> None:
        self._callee = callee
        self._method = method
        self._args = args
        self._missing = missing
        self._attempts = callee.attempts(patience)
        self._repeating = asyncio.Lock()
        self.response: DeploymentResponse[T] = callee.send(method, _references(args))

    def __await__(self) -> Generator[Any, None, T]:
        return self._value().__await__()

    async def _value(self) -> T:
        while True:
            response = self.response
            try:
                value = await self._callee.patiently(response)
            except asyncio.CancelledError:
                with suppress(Exception):  # as in `stream`
                    response.cancel()  # type: ignore[no-untyped-call]  # Ray's own lack of types
                raise
            except Exception as error:
                failure = translate(error, self._callee.name)
            else:
                if value is None and self._missing is not None:
                    raise ImageNotFound(self._missing)
                return value
            async with self._repeating:
                if self.response is response:  # else another who awaits it was faster
                    await self._attempts.wait(failure)
                    args = [await arg if isinstance(arg, Reply) else arg for arg in self._args]
                    self.response = self._callee.send(self._method, _references(args))


class Lent(Awaitable[T]):
    """A value of ours in the object store: awaited it gives the value, handed on its reference.

    It is serialised once, however many calls take it, and lives as long as this object.

    Args:
        value: The value.
    """

    def __init__(self, value: T) -> None:
        self._value = value
        self.response = ray.put(value)

    def __await__(self) -> Generator[Any, None, T]:
        return self._get().__await__()

    async def _get(self) -> T:
        return self._value


def _references(args: Iterable[object]) -> list[Any]:
    return [arg.response if isinstance(arg, (Reply, Lent)) else arg for arg in args]


def _heard(answer: asyncio.Future[Any]) -> None:
    """Take notice of how an answer ended that nobody waits for any more."""
    if not answer.cancelled():
        answer.exception()


def _is_cancelled() -> bool:
    """Whether somebody cancelled us: Ray raises the same when a replica cancelled its own work."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
