"""Answers that are made once: what an Idempotency-Key promises.

Of the requests with one key, the first makes the answer, and the others wait for it and get the
same, whichever ingress replica they reach. Only answers of success are kept, in the store and for
as long as results are; when a request fails or its caller leaves, the next one makes the answer.
An answer stays as it was given, also when its images are deleted.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from pydantic import BaseModel, ConfigDict, ValidationError

from deployments.errors import IdempotencyConflict, InternalError, ServiceError
from deployments.ingress.core.deadline import Deadline
from deployments.ingress.core.places_client import Holding, PlacesClient
from deployments.ingress.core.sent_files import SentFile
from deployments.ingress.core.stores import KeptAnswers

logger = logging.getLogger(__name__)

POLL_S = 0.25
"""Seconds between looks at whether the request that makes the answer has ended."""

NOT_KEPT = (
    "the answer could not be kept for its Idempotency-Key: the same request would make new images"
)


_NOTHING: dict[str, object] = {"fingerprint": "", "answer": {}, "events": []}
"""What is kept where something was begun and taken back."""


class KeptAnswer(BaseModel):
    """An answer as it was given.

    Attributes:
        fingerprint: Digest of what was asked for.
        answer: The JSON answer.
        events: Name and data of what a stream tells before that, but for progress.
        begun: Key of a background request that is about to be stored, or was: its answer is not
            kept yet. Empty otherwise.
    """

    model_config = ConfigDict(frozen=True)

    fingerprint: str
    answer: dict[str, object]
    events: tuple[tuple[str, dict[str, object]], ...]
    begun: str = ""

    def moved(self, move: Callable[[Mapping[str, object]], dict[str, object]]) -> KeptAnswer:
        """The answer with other URLs.

        Args:
            move: Returns an object with these.
        """
        events = tuple((name, move(data)) for name, data in self.events)
        return self.model_copy(update={"answer": move(self.answer), "events": events})


class Turn:
    """The right to make the answer of a key, until it is closed or the deadline has passed.

    Args:
        claim: What is held for it.
        answers: Where the answer is kept.
        name: Its name there.
        fingerprint: Digest of what is asked for.
        deadline: The request's.
        begun: See `KeptAnswer`: whoever had the turn before has died. Empty otherwise.
    """

    def __init__(
        self,
        claim: Holding,
        answers: KeptAnswers,
        name: str,
        fingerprint: str,
        deadline: Deadline,
        begun: str = "",
    ) -> None:
        self.begun = begun
        self._claim = claim
        self._answers = answers
        self._name = name
        self._fingerprint = fingerprint
        self._deadline = deadline
        # An answer that nobody begins to read never closes it.
        loop = asyncio.get_running_loop()
        self._end = loop.call_later(deadline.rest_s(), claim.close)

    async def keep(
        self, answer: Mapping[str, object], events: Sequence[tuple[str, Mapping[str, object]]]
    ) -> bool:
        """Keep the answer, which comes before it is given.

        Args:
            answer: As in `KeptAnswer`.
            events: See there.

        Returns:
            Whether it is kept. When it is not, the images are there all the same, and the caller is
            better served with them than with an error.
        """
        kept = {"fingerprint": self._fingerprint, "answer": answer, "events": list(events)}
        try:
            await self._save(kept)
        except ServiceError as error:
            logger.warning("an answer could not be kept: %s", error)
            return False
        return True

    async def begin(self, request: str) -> None:
        """Keep the key of a background request before it is stored.

        So the next request with this idempotency key finds it, even if this process is killed
        before the answer is kept.

        Raises:
            ServiceError: It could not be kept.
        """
        await self._save({
            "fingerprint": self._fingerprint, "answer": {}, "events": [], "begun": request,
        })  # fmt: skip

    async def forget(self) -> None:
        """Take `begin` back, after nothing was stored."""
        with suppress(ServiceError):
            await self._save(_NOTHING)

    async def _save(self, kept: Mapping[str, object]) -> None:
        async with self._deadline.bounds():
            await self._answers.save(self._name, kept)

    def close(self) -> None:
        """Let the next request with this key go on; repeating it is harmless."""
        self._end.cancel()
        self._claim.close()


class Idempotency:
    """Makes sure that of the requests with one key only one makes the answer.

    Args:
        places: Claims the idempotency keys.
        answers: Keeps the answers.
    """

    def __init__(self, places: PlacesClient, answers: KeptAnswers) -> None:
        self._places = places
        self._answers = answers

    async def turn(
        self, api_key_name: str, idempotency_key: str, fingerprint: str, deadline: Deadline
    ) -> Turn | KeptAnswer:
        """Wait for the answer, or for the turn to make it.

        Args:
            api_key_name: Each API key has idempotency keys of its own.
            idempotency_key: As the caller sent it.
            fingerprint: Digest of what is asked for.
            deadline: The request's.

        Raises:
            IdempotencyConflict: The key belongs to a request for something else.
            DeadlineExceeded: It passed.
        """
        name = _digest(api_key_name.encode(), idempotency_key.encode())[:32]
        async with deadline.bounds():
            while (claim := await self._places.claim(name, fingerprint)) is None:
                await asyncio.sleep(POLL_S)
            # Looked for only now: whoever had the claim before has kept its answer by the end.
            try:
                document = await self._answers.load(name)
                nothing = document is None or document == _NOTHING
                kept = None if nothing else _kept(document, fingerprint)
            except BaseException:
                claim.close()
                raise
        if kept is None or kept.begun:
            begun = "" if kept is None else kept.begun
            return Turn(claim, self._answers, name, fingerprint, deadline, begun)
        claim.close()
        return kept


def _kept(document: object, fingerprint: str) -> KeptAnswer:
    """Read what was kept.

    Raises:
        IdempotencyConflict: It is of a request for something else.
        InternalError: It is damaged.
    """
    try:
        kept = KeptAnswer.model_validate(document)
    except ValidationError:
        raise InternalError("the kept answer is damaged") from None
    if kept.fingerprint != fingerprint:
        raise IdempotencyConflict("this Idempotency-Key belongs to a request with another body")
    return kept


def fingerprint(
    kind: str, fields: Mapping[str, object], files: Mapping[str, SentFile | None]
) -> str:
    """A digest of what a request asks for, the same however its body was written.

    Args:
        kind: Which request.
        fields: Its fields but for the files, of JSON types, with their defaults.
        files: Its files, of which the digests count.
    """
    text = json.dumps([kind, fields], sort_keys=True).encode()
    parts = [
        name.encode() + (b"" if file is None else file.sha256)
        for name, file in sorted(files.items())
    ]
    return _digest(text, *parts)


def _digest(*parts: bytes) -> str:
    """A digest of the parts, in which each has its own beginning and end."""
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()
