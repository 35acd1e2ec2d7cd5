"""The record of a background request: all that is known of it, as it is stored."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from deployments.errors import InternalError, ServiceError
from deployments.ingress.core.callbacks.progress import Callback
from deployments.ingress.core.events import ImageProgress, ImageStored, ImageWithheld, Made
from deployments.ingress.core.orders import Asked, Fixed
from deployments.ingress.core.terms import Again

State = Literal["waiting", "running", "done", "failed", "cancelled"]
End = Literal["done", "failed", "cancelled"]
ENDS: tuple[End, ...] = ("done", "failed", "cancelled")


class Failure(BaseModel):
    """Why a request failed, as its caller may see it.

    Attributes:
        status: The HTTP status that it would have had.
        code: For programs.
        message: One sentence.
    """

    model_config = ConfigDict(frozen=True)

    status: int
    code: str
    message: str

    @classmethod
    def of(cls, error: ServiceError) -> Failure:
        """What is shown of an error."""
        return cls(status=error.status, code=error.code, message=str(error))


class StoredEvent(BaseModel):
    """Something that happened to a request.

    Attributes:
        id: Its number, from 1 on.
        what: An image's step or end; or the request's own end.
        at: When it was written down, in seconds since 1970; None in older records.
    """

    model_config = ConfigDict(frozen=True)

    id: int
    what: ImageProgress | ImageStored | ImageWithheld | End
    at: float | None = None


class Record(BaseModel):
    """All that is known of a background request.

    Attributes:
        api_key_name: Whose it is; empty without a key.
        asked: What is asked for.
        fixed: What its plan left to chance: the same seeds and keys whoever works on it.
        base: Scheme and host that its caller used.
        created: When it was submitted, in seconds since 1970.
        longest_s: Seconds after that in which it must end.
        state: See there.
        runner: Who works on it, or did last; nobody else may write its progress.
        begun: When its images were begun, the last time; None before.
        made_before: Images that were made by then.
        ended: When it ended; None before.
        attempts: How often its images were begun and not put off.
        events: What has happened.
        failure: Why it failed.
        callback: Who is told of it, if anybody. How far this is stands beside the record until all
            is told, and then here.
    """

    model_config = ConfigDict(frozen=True)

    api_key_name: str
    asked: Asked
    fixed: Fixed
    base: str
    created: float
    longest_s: float
    state: State = "waiting"
    runner: str = ""
    begun: float | None = None
    made_before: int = 0
    ended: float | None = None
    attempts: int = 0
    events: tuple[StoredEvent, ...] = ()
    failure: Failure | None = None
    callback: Callback | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing will happen to it any more."""
        return self.state in ENDS

    @property
    def made(self) -> list[Made]:
        """Its images that are made, in the order of their ends."""
        return [
            event.what
            for event in self.events
            if isinstance(event.what, ImageStored | ImageWithheld)
        ]

    @property
    def again(self) -> Again:
        """What whoever works on it must know."""
        return Again(self.fixed, tuple(self.made))

    @property
    def unmade_keys(self) -> list[str]:
        """The object keys of images that it does not tell of."""
        told = {image.index for image in self.made}
        return [key for index, key in enumerate(self.fixed.image_keys) if index not in told]

    @property
    def share_done(self) -> float:
        """How much of its images is done, 0 to 1, as far as it was written down.

        What comes after an image's last step, until it is stored, counts as one more.
        """
        shares = dict.fromkeys(range(len(self.fixed.image_keys)), 0.0)
        for event in self.events:
            if isinstance(event.what, ImageProgress):
                shares[event.what.index] = event.what.step / (event.what.steps + 1)
            elif isinstance(event.what, ImageStored | ImageWithheld):
                shares[event.what.index] = 1.0
        return sum(shares.values()) / len(shares)

    def after(self, last_id: int) -> list[StoredEvent]:
        """The events with larger ids."""
        return [event for event in self.events if event.id > last_id]

    def told_after(self, last_id: int) -> list[StoredEvent]:
        """Those of these that are told to who is called back: stored images, and the end."""
        return [
            event
            for event in self.after(last_id)
            if isinstance(event.what, ImageStored) or event.what in ENDS
        ]

    def as_of(self, event: StoredEvent) -> Record:
        """The same as it was after one of its events."""
        if event.what in ENDS:
            return self
        then = tuple(earlier for earlier in self.events if earlier.id <= event.id)
        return self.model_copy(
            update={"events": then, "state": "running", "ended": None, "failure": None}
        )

    def with_events(self, happened: Sequence[ImageProgress | Made]) -> Record:
        """The same with further events."""
        return self.model_copy(update={"events": self._more(happened)})

    def at_an_end(self, state: End, failure: Failure | None = None) -> Record:
        """The same at its end."""
        events = self._more([state])
        changes: dict[str, object] = {"state": state, "ended": events[-1].at, "failure": failure}
        return self.model_copy(update={**changes, "events": events})

    def _more(
        self, happened: Sequence[ImageProgress | ImageStored | ImageWithheld | End]
    ) -> tuple[StoredEvent, ...]:
        first = self.events[-1].id + 1 if self.events else 1
        now = time.time()
        more = (StoredEvent(id=first + n, what=what, at=now) for n, what in enumerate(happened))
        return (*self.events, *more)


def record_of(document: object) -> Record:
    """Read a stored record.

    Raises:
        InternalError: It is damaged.
    """
    try:
        return Record.model_validate(document)
    except ValidationError:
        raise InternalError("the record of the background request is damaged") from None
