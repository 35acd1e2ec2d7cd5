"""Accepts background requests: each is stored once, also when whoever accepts it is killed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass
from typing import Protocol

from deployments.background_settings import BackgroundSettings
from deployments.errors import ServiceError, TooManyWaiting
from deployments.ingress.core.background.line import Line
from deployments.ingress.core.background.names import Name
from deployments.ingress.core.background.records import Record, record_of
from deployments.ingress.core.background.work import Making, numbered
from deployments.ingress.core.callbacks.deliveries import Deliveries
from deployments.ingress.core.callbacks.progress import Callback
from deployments.ingress.core.idempotency import Idempotency, KeptAnswer, Turn, fingerprint
from deployments.ingress.core.keys import new_key, owner_of
from deployments.ingress.core.orders import Asked, Files
from deployments.ingress.core.ports import Backends
from deployments.ingress.core.sent_files import SentFile
from deployments.ingress.core.terms import Terms

RETRY_AFTER_S = 30.0
"""Suggested wait where it is not known how fast the line moves."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as its caller sees it.

    Attributes:
        request: Its key.
        record: All that is known of it.
        place: Its place in the line, from 1 on, where it is in it.
        expected_s: Seconds until it is done, where that can be told.
        callback: How far its callbacks are, where it has any.
    """

    request: str
    record: Record
    place: int | None = None
    expected_s: float | None = None
    callback: Callback | None = None


class Requests(Protocol):
    """The requests that are there.

    Attributes:
        deliveries: Calls back those who want it.
    """

    deliveries: Deliveries

    async def seen(self, name: Name, record: Record) -> Seen:
        """What a caller sees of a request that was read."""
        ...


class Submissions:
    """Stores new requests.

    Args:
        making: Says what is wrong with a request.
        backends: The other deployments.
        idempotency: Makes requests repeatable.
        settings: Bounds.
        line: Those that wait.
        requests: Those that are there.
        wake: Called when there is a new one.
    """

    def __init__(
        self,
        making: Making,
        backends: Backends,
        idempotency: Idempotency,
        settings: BackgroundSettings,
        line: Line,
        requests: Requests,
        wake: Callable[[], None],
    ) -> None:
        self._making = making
        self._backends = backends
        self._idempotency = idempotency
        self._settings = settings
        self._line = line
        self._requests = requests
        self._wake = wake
        self._entering: set[asyncio.Task[Mapping[str, object]]] = set()

    async def submit(
        self,
        asked: Asked,
        files: Files,
        terms: Terms,
        base: str,
        render: Callable[[Seen], Mapping[str, object]],
        longest_s: float | None = None,
        callback_url: str | None = None,
    ) -> tuple[Mapping[str, object], bool]:
        """Store a request, to be worked on in its turn.

        Args:
            asked: What is asked for.
            files: What came with it.
            terms: On which terms; the deadline is that of the answer, and not of the images.
            base: Scheme and host that the caller used.
            render: Makes the answer.
            longest_s: Seconds in which it must be done; None for as long as may be.
            callback_url: Who is told of its images and its end; None without.

        Returns:
            The answer, and whether it was given before, to the same idempotency key.

        Raises:
            InvalidRequest: Nobody may be called back at the URL.
            TooManyWaiting: As many are unfinished, or have callbacks that are, as may be.
            IdempotencyConflict: The idempotency key belongs to a request for something else.
            ServiceError: As of `Service.fix`.
        """
        callback = None
        if callback_url is not None:
            callback = Callback(url=self._requests.deliveries.read(callback_url).url)
        turn: Turn | None = None
        if terms.idempotency_key is not None:
            told = asked.document()
            if callback is not None:
                told["callback_url"] = callback.url
            digest = fingerprint("background", told, _by_field(files))
            given = await self._idempotency.turn(
                terms.api_key_name, terms.idempotency_key, digest, terms.deadline
            )
            if isinstance(given, KeptAnswer):
                return given.answer, True
            turn = given
        try:
            owner = owner_of(terms.api_key_name)
            if turn is not None and turn.begun:
                # Its replica was killed before it could keep the answer.
                name = Name(owner, turn.begun)
                if (found := await self._backends.requests.load(name)) is not None:
                    answer = render(await self._requests.seen(name, record_of(found[0])))
                    await turn.keep(answer, [])
                    return answer, True
            else:
                name = Name(owner, new_key())
            fixed = await self._making.fix(asked, files, terms.api_key_name)
            record = Record(
                api_key_name=terms.api_key_name,
                asked=asked,
                fixed=fixed,
                base=base,
                created=time.time(),
                longest_s=min(longest_s or self._settings.longest_s, self._settings.longest_s),
                callback=callback,
            )
            uploads = await numbered(files)
            # From here on it goes to its end, also when the caller leaves: else the request would
            # be there without its key, and be made once more when the caller comes back. In a
            # context of its own its calls do not belong to what is cancelled for the caller.
            entering = asyncio.create_task(
                self._enter(name, record, uploads, render, turn), context=Context()
            )
            turn = None
            self._entering.add(entering)
            entering.add_done_callback(self._entering.discard)
            answer = await asyncio.shield(entering)
        finally:
            if turn is not None:
                turn.close()
        return answer, False

    async def _enter(
        self,
        name: Name,
        record: Record,
        uploads: Mapping[int, bytes],
        render: Callable[[Seen], Mapping[str, object]],
        turn: Turn | None,
    ) -> Mapping[str, object]:
        """Store a new request, keep its answer, and close its turn."""
        try:
            if turn is not None:
                await turn.begin(name.request)
            try:
                await self._store(name, record, uploads)
            except BaseException:
                if turn is not None:
                    await turn.forget()
                raise
            await self._line.look()
            answer = render(await self._requests.seen(name, record))
            if turn is not None:
                await turn.keep(answer, [])
        finally:
            if turn is not None:
                turn.close()
        self._wake()
        return answer

    async def _store(self, name: Name, record: Record, uploads: Mapping[int, bytes]) -> None:
        if record.callback is not None and self._requests.deliveries.is_full:
            raise TooManyWaiting(
                "callback_url: as many background requests as may be wait for their receivers to "
                "answer",
                RETRY_AFTER_S,
            )
        bounds = self._settings.max_per_key, self._settings.max_in_all
        passed = await self._backends.unfinished.enter(name, *bounds)
        if passed is not None:
            whose, most = (
                ("this key has", bounds[0]) if passed == "own" else ("there are", bounds[1])
            )
            raise TooManyWaiting(
                f"{whose} as many unfinished background requests as may be, {most}: wait for some "
                "of them, or cancel them",
                self._line.expected_s(1) or RETRY_AFTER_S,
            )
        try:
            await self._backends.uploads.save(name.request, uploads)
            if record.callback is not None:
                callback = record.callback.model_dump(mode="json")
                await self._backends.callbacks.save(name, callback, "")
            await self._backends.requests.save(name, record.model_dump(mode="json"), "")
        except BaseException:
            with suppress(ServiceError):
                await self._backends.unfinished.leave(name)
            raise


def _by_field(files: Files) -> dict[str, SentFile | None]:
    return {
        "image": files.image,
        "product_mask": files.product_mask,
        "background_image": files.background_image,
        **files.beside,
    }
