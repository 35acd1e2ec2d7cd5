"""How far the callbacks of a background request are, as it is stored."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError

from deployments.errors import InternalError

GROWTH = 4.0
"""Each wait is so many times the one before it."""

LONGEST_WAIT_S = 14_400.0
"""Seconds between two tries, at most."""

GONE = 410
"""The status by which a receiver says that it wants no more."""


class Callback(BaseModel):
    """How far the callbacks of a background request are.

    Attributes:
        url: Whom they go to.
        after: The id of the last event that was delivered, or given up; 0 for none.
        delivered: Events that were.
        failed: Events that were given up.
        failures: Tries that have failed since the last success.
        since: When the first of these was, in seconds since 1970.
        due: When the next try is; 0 for now.
        last_failure: How the last of them ended.
        over: Whether there will be no more: the request has ended, and each event is settled.
        gone: Whether the receiver wants no more.
    """

    model_config = ConfigDict(frozen=True)

    url: str
    after: int = 0
    delivered: int = 0
    failed: int = 0
    failures: int = 0
    since: float | None = None
    due: float = 0.0
    last_failure: str | None = None
    over: bool = False
    gone: bool = False

    def with_success(self, event_id: int) -> Callback:
        """The same after an event was delivered."""
        return self.model_copy(
            update={
                "after": event_id,
                "delivered": self.delivered + 1,
                "failures": 0,
                "since": None,
                "due": 0.0,
                "last_failure": None,
            }
        )

    def with_failure(
        self, why: str, now: float, first_wait_s: float, last_s: float, asked_s: float | None
    ) -> Callback:
        """The same after a try that failed, and that will be made again.

        Args:
            why: How it ended.
            now: Seconds since 1970.
            first_wait_s: Seconds between the first failure and the next try.
            last_s: When the last try is, in seconds since 1970.
            asked_s: Seconds for which the receiver wants to be left alone, if it says so.
        """
        # Bounded before it is computed: a power of hundreds is no number any more.
        wait_s = first_wait_s * GROWTH ** min(self.failures, 32)
        wait_s = min(max(wait_s, asked_s or 0.0), LONGEST_WAIT_S)
        return self.model_copy(
            update={
                "failures": self.failures + 1,
                "since": now if self.since is None else self.since,
                "due": min(now + wait_s, last_s),
                "last_failure": why,
            }
        )

    def without(self, event_id: int, why: str, now: float, *, gone: bool = False) -> Callback:
        """The same after an event was given up; the next one is tried at once.

        Args:
            event_id: Which.
            why: How the last try ended.
            now: Seconds since 1970.
            gone: The receiver wants no more.
        """
        return self.model_copy(
            update={
                "after": event_id,
                "failed": self.failed + 1,
                "failures": self.failures + 1,
                "since": now if self.since is None else self.since,
                "due": 0.0,
                "last_failure": why,
                "gone": self.gone or gone,
            }
        )


def callback_of(document: object) -> Callback:
    """Read what is stored.

    Raises:
        InternalError: It is damaged.
    """
    try:
        return Callback.model_validate(document)
    except ValidationError:
        raise InternalError("the state of the background request's callbacks is damaged") from None
