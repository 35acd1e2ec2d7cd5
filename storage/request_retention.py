"""Removes background requests that are too old, and what broken-off ones have left behind.

A request stays as long as it is unfinished, and as long as callbacks of it are tried. Of both there
are only so many as the configuration allows, so their marks are read as a whole.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from storage.names import CALLBACKS, REQUESTS, UNFINISHED, UPLOADS, keys_of
from storage.seeking import Seeker
from storage.store import ImageStore, ObjectInfo

# After this long nobody is still on the way between the mark and the record.
_SETTLED = timedelta(hours=1)
# Each try of a callback is written down, and they are hours apart: after this long nobody tries.
_ABANDONED = timedelta(days=2)


class RequestRetention:
    """What a sweep does about background requests.

    Every method raises what the store raises.

    Args:
        store: Where the objects are kept.
        retention: How long a finished request is kept; None keeps it for ever.
        now: The present time, timezone-aware.
    """

    def __init__(self, store: ImageStore, retention: timedelta | None, now: datetime) -> None:
        self._store = store
        self._retention = retention
        self._now = now

    def look(self, records: Iterable[ObjectInfo]) -> int:
        """Remove those of some records that are too old.

        Args:
            records: As listed.

        Returns:
            How many objects were removed.
        """
        old = [info.name for info in records if self._older(info, self._retention)]
        if not old:
            return 0
        # Listed after the records: what belongs to a request is written after its mark.
        needed = {
            keys_of(info.name)
            for folder in (UNFINISHED, CALLBACKS)
            for info in self._store.list(folder)
        }
        return self._delete(name for name in old if keys_of(name) not in needed)

    def clear(self) -> int:
        """Remove what broken-off requests have left behind.

        Returns:
            How many objects were removed.
        """
        # Listed before the marks, as above.
        uploads = [info for info in self._store.list(UPLOADS) if self._older(info, _SETTLED)]
        callbacks = [info for info in self._store.list(CALLBACKS) if self._older(info, _SETTLED)]
        marks = {keys_of(info.name): info for info in self._store.list(UNFINISHED)}
        running = {request for _, request in marks}
        records = Seeker(self._store, REQUESTS)

        def has_record(name: str) -> bool:
            return bool(records.names_of("".join(keys_of(name))))

        old = [info.name for info in uploads if keys_of(info.name)[0] not in running]
        old += [
            info.name
            for info in callbacks
            if keys_of(info.name) not in marks
            and (self._older(info, _ABANDONED) or not has_record(info.name))
        ]
        old += [
            info.name
            for info in marks.values()
            if self._older(info, _SETTLED) and not has_record(info.name)
        ]
        return self._delete(old)

    def _older(self, info: ObjectInfo, age: timedelta | None) -> bool:
        return age is not None and self._now - info.modified > age

    def _delete(self, names: Iterable[str]) -> int:
        removed = 0
        for name in names:
            self._store.delete(name)
            removed += 1
        return removed
