"""The storage replica: what it keeps, as async calls, and the retention sweep.

A plain class that `deployments.app` wires into Ray Serve.
"""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Literal, ParamSpec, Protocol, TypeVar

from storage.answers import Answers
from storage.callback_calls import CallbackCalls
from storage.callbacks import Callbacks
from storage.cutouts import CutOuts, EncodedCutOut
from storage.errors import ObjectNotFound, StorageMisconfigured, StorageUnavailable
from storage.lineage import Lineage
from storage.observed import ObservedStore
from storage.observer import Observer
from storage.opening import open_store
from storage.records import Records
from storage.request_calls import RequestCalls
from storage.requests import Requests
from storage.settings import FilesystemSettings, StoreSettings
from storage.store import StoredObject
from storage.sweeping import Sweeper
from storage.tiles import Tiles
from storage.usage import save_usage

_P = ParamSpec("_P")
_T = TypeVar("_T")

# As many as the S3 client keeps connections.
_THREADS = 16


class EncodedSources(Protocol):
    """The files of a source; None where there is none, or where it is stored already."""

    @property
    def photo(self) -> bytes | None:
        """A photo."""
        ...

    @property
    def product(self) -> bytes | None:
        """The product in it."""
        ...


class Storage(RequestCalls, CallbackCalls):
    """Saves and loads results, cut-outs, sources, answers, background requests, callbacks, usage.

    At most 16 operations run at once, and the event loop is never blocked. The deployment's
    `max_ongoing_requests` bounds how many more may wait.
    """

    def __init__(
        self,
        settings: StoreSettings,
        retention_s: float | None,
        sweep_interval_s: float = 600.0,
        observer: Observer | None = None,
        request_retention_s: float | None = None,
        usage_retention_s: float | None = None,
    ) -> None:
        """Open the store, check that it can serve, and start the sweep.

        Args:
            settings: Which store, and where.
            retention_s: Results and cut-outs older than this many seconds are removed, and the
                sources that no other needs. None keeps them for ever. What unfinished work left
                behind is removed in both cases.
            sweep_interval_s: Seconds between two sweeps, of one replica at a time.
            observer: Hears of the store's operations; by default Ray's metrics do.
            request_retention_s: Finished background requests older than this many seconds are
                removed. None keeps them for ever.
            usage_retention_s: Counts of what API keys use are removed so many seconds after their
                day. None keeps them for ever.

        Raises:
            StorageError: The store cannot serve, or each node of this Ray cluster would have
                another one.
        """
        self._stop = threading.Event()
        # Not anyio's threads. When a request is cancelled natively, the limiter's token is free
        # while the thread still works, so cancelled requests would pile up threads.
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="storage")
        if observer is None:
            # Imported here, so that processes which only call the storage do not load it.
            from storage.metrics import StorageMetrics

            observer = StorageMetrics()
        if isinstance(settings, FilesystemSettings) and not settings.shared:
            _refuse_several_nodes()
        store = ObservedStore(open_store(settings), observer)
        store.check()
        self._store = store
        self._records = Records(store)
        self._tiles = Tiles(store)
        self._lineage = Lineage(store)
        self._answers = Answers(store)
        self._cutouts = CutOuts(store)
        self._requests = Requests(store)
        self._callbacks = Callbacks(store)
        retentions = _after(retention_s), _after(request_retention_s)
        # The replica is no argument: a thread that holds it would keep it alive for ever.
        sweeper = Sweeper(
            store,
            *retentions,
            sweep_interval_s,
            self._stop,
            usage_retention=_after(usage_retention_s),
        )
        self._sweeper = threading.Thread(target=sweeper.run, name="storage-sweep", daemon=True)
        self._sweeper.start()

    async def save(self, key: str, file: bytes, recipe: Mapping[str, object]) -> None:
        """Store a result; see `Records.save`."""
        # Side by side: each waits for the store on its own.
        await asyncio.gather(
            self._run(self._records.save_recipe, key, recipe),
            self._run(self._records.mark_owned, key, recipe),
        )
        await self._run(self._records.save_image, key, file, recipe)

    async def load_image(self, key: str, file_format: str) -> StoredObject | None:
        """Load a result's image; see `Records.load_image`. None where there is none."""
        return await self._find(self._records.load_image, key, file_format)

    async def load_recipe(self, key: str) -> dict[str, object] | None:
        """Load a result's recipe; see `Records.load_recipe`. None where there is none."""
        return await self._find(self._records.load_recipe, key)

    async def results_of(
        self, owner: str, after: str | None, most: int
    ) -> tuple[list[tuple[str, dict[str, object]]], str | None]:
        """Keys and recipes of an owner's results, and after which key the next ones come.

        Those that are removed meanwhile are left out.

        Args:
            owner: See `Records.of`.
            after: See there.
            most: See there.

        Returns:
            Some, and the last key that was looked at; None where there are no more.
        """
        keys = await self._run(self._records.of, owner, after, most + 1)
        more, keys = keys[most:], keys[:most]
        loaded = await asyncio.gather(*(self.load_recipe(key) for key in keys))
        found = zip(keys, loaded, strict=True)
        return [(key, recipe) for key, recipe in found if recipe is not None], (
            keys[-1] if more else None
        )

    async def delete(self, key: str, sources: Sequence[str]) -> None:
        """Remove a result; see `Records.delete`."""
        await self._run(self._records.delete, key, sources)

    async def save_tile(self, key: str, width: int, webp: bytes) -> bool:
        """Store a smaller copy of a result's image; see `Tiles.save`. False where that is gone."""
        try:
            await self._run(self._tiles.save, key, width, webp)
        except ObjectNotFound:
            return False
        return True

    async def load_tile(self, key: str, file_format: str, width: int) -> StoredObject | None:
        """Load a smaller copy; see `Tiles.load`. None where there is none."""
        return await self._find(self._tiles.load, key, file_format, width)

    async def borrow(
        self, key: str, file_format: str, sources: Sequence[str], results: Sequence[str]
    ) -> StoredObject | None:
        """Load a result's image, to make others from it; None where there is none.

        The marks come first. So a removal at the same time either is seen here or sees the marks.

        Args:
            key: The result's key.
            file_format: `png`, `jpeg` or `webp`, as its recipe says.
            sources: What it was made from, and what the new results need too.
            results: The keys of the new results.
        """
        for source in sources:
            await self._refer(source, results)
        return await self._find(self._records.load_image, key, file_format)

    async def keep_sources(self, key: str, results: Sequence[str], encoded: EncodedSources) -> None:
        """Store what results are made from, after the marks that they need it.

        Args:
            key: The source's key.
            results: The keys of the results, which may be still to come.
            encoded: The files.
        """
        await self._refer(key, results)
        if encoded.photo is not None:
            await self._run(self._lineage.save_source, key, encoded.photo)
        if encoded.product is not None:
            await self._run(self._lineage.save_mask, key, encoded.product)

    async def load_source(self, key: str) -> StoredObject | None:
        """Load a source photograph; see `Lineage.load_source`. None where there is none."""
        return await self._find(self._lineage.load_source, key)

    async def load_mask(self, key: str) -> bytes | None:
        """Load a source's product; see `Lineage.load_mask`. None where there is none."""
        return await self._find(self._lineage.load_mask, key)

    async def save_cutout(
        self, key: str, encoded: EncodedCutOut, record: Mapping[str, object]
    ) -> None:
        """Store a cut-out; see `CutOuts.save`."""
        await self._run(self._cutouts.save, key, encoded, record)

    async def load_cutout(self, key: str, part: Literal["image", "mask"]) -> StoredObject | None:
        """Load a cut-out's image or mask; see `CutOuts`. None where there is none."""
        load = self._cutouts.load_image if part == "image" else self._cutouts.load_mask
        return await self._find(load, key)

    async def load_cutout_record(self, key: str) -> dict[str, object] | None:
        """Load a cut-out's record; see `CutOuts.load_record`. None where there is none."""
        return await self._find(self._cutouts.load_record, key)

    async def borrow_cutout(
        self, key: str, sources: Sequence[str], results: Sequence[str]
    ) -> StoredObject | None:
        """Load a cut-out's mask, to make results with it; None where there is none.

        The marks come first, as in `borrow`.

        Args:
            key: The cut-out's key.
            sources: Its photo and its product, which the results need too.
            results: The keys of the results.
        """
        for source in sources:
            await self._refer(source, results)
        return await self._find(self._cutouts.load_mask, key)

    async def delete_cutout(self, key: str, sources: Sequence[str]) -> None:
        """Remove a cut-out; see `CutOuts.delete`."""
        await self._run(self._cutouts.delete, key, sources)

    async def save_answer(self, key: str, answer: Mapping[str, object]) -> None:
        """Store an answer; see `Answers.save`."""
        await self._run(self._answers.save, key, answer)

    async def load_answer(self, key: str) -> dict[str, object] | None:
        """Load an answer; see `Answers.load`."""
        return await self._run(self._answers.load, key)

    async def save_usage(
        self, day: date, replica: str, keys: Mapping[str, Mapping[str, int]]
    ) -> None:
        """Store what API keys have used in a day; see `usage.save_usage`."""
        await self._run(save_usage, self._store, day, replica, keys)

    async def check_health(self) -> None:
        """Check this replica, and on purpose not its store.

        Serve replaces replicas that are unhealthy. That does not help while the store is down, and
        it would add an outage of the replicas.

        Raises:
            StorageUnavailable: The retention sweep has died.
        """
        if not self._sweeper.is_alive():
            raise StorageUnavailable("the retention sweep of this replica has died")

    def close(self) -> None:
        """Stop the sweep and take no more work; running operations end normally."""
        self._stop.set()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def __del__(self) -> None:
        """Close; Serve calls this when it stops a replica."""
        self.close()

    async def _refer(self, source: str, results: Sequence[str]) -> None:
        # Side by side: a variation waits for them before it reads anything.
        await asyncio.gather(
            *(self._run(self._lineage.refer, source, [result]) for result in results)
        )

    async def _find(self, load: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T | None:
        """Load an object, or tell that it is missing.

        A missing object is a value: Serve would log an exception with its traceback.
        """
        try:
            return await self._run(load, *args, **kwargs)
        except ObjectNotFound:
            return None

    async def _run(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: function(*args, **kwargs))


def _refuse_several_nodes() -> None:
    """Refuse a folder where replicas on different machines would each have another one.

    Raises:
        StorageMisconfigured: This replica runs in a Ray cluster of several nodes.
    """
    # Imported here, because the unit tests of this module run without Ray.
    import ray

    known = ray.nodes() if ray.is_initialized() else []  # type: ignore[no-untyped-call]  # as Ray has it
    nodes = sum(bool(node["Alive"]) for node in known)
    if nodes > 1:
        raise StorageMisconfigured(
            "store: the filesystem store keeps results on one machine, and this Ray cluster has "
            f"{nodes} nodes: use an S3 store, or set store.shared if the folder is the same on all"
        )


def _after(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)
