"""Sweeps a store again and again, in one of the replicas that share it at a time.

One document in the store says who sweeps, when the last sweep began, and how far the patrol is. It
is replaced version by version, so of several replicas that want the turn one gets it. Who has it
writes the document anew every half minute. A replica that sees the same version for three minutes
takes the turn over: whoever had it has died. No two clocks are compared for that.
"""

import logging
import secrets
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ConfigDict, ValidationError

from storage.errors import CorruptObject, StorageError
from storage.names import SWEEPER
from storage.retention import FOLDERS, Ages, Place, Retention
from storage.store import SwappingStore
from storage.versions import load_version, save_version

BEAT_S = 30.0
"""Seconds between two signs of life."""

DEAD_S = 180.0
"""Seconds without one after which another replica sweeps."""

# Names that the patrol looks at in one sweep: 20 requests, and some for what it looks up.
_PATROL = 20_000
# A round of the patrol begins so many intervals after the last one ended.
_REST = 36

_logger = logging.getLogger(__name__)


class _TurnLost(Exception):
    """The sweep must end: this replica stops, or another one has taken its turn over."""


class _State(BaseModel):
    """What the document says.

    Attributes:
        holder: Who sweeps; empty where nobody does.
        beat: Changes with each writing.
        begun: When the last sweep began, in seconds since 1970.
        folder: Where the patrol is, as `Place` has it.
        after: See there.
        round_ended: When the patrol's last round ended, in seconds since 1970.
    """

    model_config = ConfigDict(frozen=True)

    holder: str = ""
    beat: int = 0
    begun: float = 0.0
    folder: str = ""
    after: str = ""
    round_ended: float = 0.0


class Sweeper:
    """The sweeps of one replica.

    Args:
        store: What is swept.
        retention: See `Ages`.
        request_retention: See there.
        interval_s: Seconds between the beginnings of two sweeps, of whichever replica.
        stop: Ends it.
        dead_s: See `DEAD_S`.
        usage_retention: See `Ages`.
    """

    def __init__(
        self,
        store: SwappingStore,
        retention: timedelta | None,
        request_retention: timedelta | None,
        interval_s: float,
        stop: threading.Event,
        dead_s: float = DEAD_S,
        usage_retention: timedelta | None = None,
    ) -> None:
        self._store = store
        self._retention = retention
        self._request_retention = request_retention
        self._usage_retention = usage_retention
        self._interval_s = interval_s
        self._stop = stop
        self._dead_s = dead_s
        self._name = secrets.token_hex(8)
        self._seen = ("", 0.0)
        self._state, self._version = _State(), ""
        self._beaten = 0.0

    def run(self) -> None:
        """Sweep until it is stopped."""
        wait_s = 0.0
        while not self._stop.wait(wait_s):
            try:
                wait_s = self.turn()
            except StorageError as error:
                _logger.warning("the retention sweep failed and will be repeated: %s", error)
                wait_s = self._interval_s

    def turn(self) -> float:
        """Sweep, if it is time and nobody else does.

        Returns:
            Seconds until it should be tried again.

        Raises:
            StorageError: The store cannot list, or fails as a whole.
        """
        wait_s = self._take()
        if wait_s:
            return wait_s
        ages = Ages(
            datetime.now(UTC), self._retention, self._request_retention, self._usage_retention
        )
        swept = Retention(self._store, ages, self._go_on)
        progress: dict[str, object] = {}
        try:
            swept.expire()
            if self._state.folder or self._rested(time.time()):
                place = swept.patrol(_place_of(self._state), _PATROL)
                progress = {"folder": place.folder, "after": place.after}
                if not place.folder:
                    progress["round_ended"] = time.time()
        except _TurnLost:
            return self._interval_s
        finally:
            # Where it fails, another replica sweeps after a while.
            with suppress(StorageError, _TurnLost):
                self._write(self._state.model_copy(update={"holder": "", **progress}))
        _logger.info("the retention sweep removed %d results, sources and requests", swept.removed)
        return self._interval_s

    def _rested(self, now: float) -> bool:
        return not 0 <= now - self._state.round_ended < _REST * self._interval_s

    def _take(self) -> float:
        """Take the turn; return how many seconds to wait where it is not ours."""
        self._load()
        state, now = self._state, time.time()
        if state.holder and state.holder != self._name:
            version, since = self._seen
            if version != self._version:
                since = time.monotonic()
                self._seen = self._version, since
            rest_s = since + self._dead_s - time.monotonic()
            if rest_s > 0:
                # Looked at before it counts as dead: it may be done by then.
                return min(rest_s, max(self._interval_s, 0.01))
            _logger.warning("the replica that swept the store has died; this one goes on")
        elif not state.holder and 0 <= now - state.begun < self._interval_s:
            return state.begun + self._interval_s - now
        try:
            self._write(state.model_copy(update={"holder": self._name, "begun": now}))
        except _TurnLost:
            return min(self._dead_s, self._interval_s)
        return 0.0

    def _load(self) -> None:
        self._state, self._version = _State(), ""
        try:
            loaded = load_version(self._store, SWEEPER)
        except CorruptObject:
            self._store.delete(SWEEPER)
            return
        if loaded is not None:
            self._version = loaded[1]
            with suppress(ValidationError):
                self._state = _State.model_validate(loaded[0])

    def _go_on(self) -> None:
        """Show that this replica lives, where it is time.

        Raises:
            _TurnLost: It must not go on.
        """
        if self._stop.is_set():
            raise _TurnLost
        if time.monotonic() - self._beaten > BEAT_S:
            self._write(self._state)

    def _write(self, state: _State) -> None:
        state = state.model_copy(update={"beat": state.beat + 1})
        version = save_version(self._store, SWEEPER, state.model_dump(), self._version)
        if version is None:
            raise _TurnLost
        self._state, self._version = state, version
        self._beaten = time.monotonic()


def _place_of(state: _State) -> Place:
    # Another version may know other folders.
    return Place(state.folder, state.after) if state.folder in FOLDERS else Place()
