"""The work of a batch: each entry becomes a job, the job's images are saved, and all is noted."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

from deployments.batch.entries import Changed, Entry
from deployments.batch.errors import CannotGoOn
from deployments.batch.journal import Journal, Outcome, Standing
from deployments.batch.manifest import write_manifest
from deployments.batch.pace import Pace
from deployments.batch.progress import Progress
from deployments.client import (
    AsyncBackdrop,
    BackdropError,
    Busy,
    Conflict,
    Job,
    NotFound,
    Request,
    Result,
)

T = TypeVar("T")

ATTEMPTS = 4
"""Jobs of one entry in one run: what is gone, or failed for the service's own reasons."""

PASSING = frozenset({"unavailable", "internal_error", "overloaded"})
"""Failures of a job that another one need not have."""

FIRST_LOOK_S, LONGEST_LOOK_S = 0.5, 10.0
"""Between two looks at a job."""

NAMING = frozenset({errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST})
"""What is wrong with one file's name, and not with the disk."""

USUAL_IMAGES = 4
"""Of a request that does not say how many, for the rates."""


class Batch:
    """All entries of a batch, and what works on them.

    Args:
        entries: In the order of the manifest, each with its content or its problem.
        out: The folder of the results.
        journal: Of that folder.
        pace: Calls the service.
        client: The same service.
        progress: Told of everything.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        out: Path,
        journal: Journal,
        pace: Pace,
        client: AsyncBackdrop,
        progress: Progress,
    ) -> None:
        self._entries = entries
        self._out = out
        self._journal = journal
        self._pace = pace
        self._client = client
        self._progress = progress

    async def run(self, parallel: int) -> None:
        """Make what is missing, so many entries at a time.

        Raises:
            CannotGoOn: The service is away for too long, or nothing can be written.
        """
        # Rows that are alike are one.
        distinct = {entry.id: entry for entry in self._entries}.values()
        ahead = iter(distinct)

        async def work() -> None:
            for entry in ahead:
                if not self._is_done(entry):
                    await self._make(entry)

        workers = []
        try:
            for entry in distinct:
                if not entry.problem:
                    self._journal.name(entry)
            self.note()
            workers = [asyncio.create_task(work()) for _ in range(parallel)]
            await asyncio.gather(*workers)
        except OSError as error:
            raise CannotGoOn(f"it cannot be written: {error}") from error
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    def note(self) -> None:
        """Write the manifest as things stand."""
        write_manifest(self._out, self._entries, [self._journal.of(each) for each in self._entries])

    def _is_done(self, entry: Entry) -> bool:
        return is_done(self._journal.of(entry), self._out)

    async def _make(self, entry: Entry) -> None:
        standing = self._journal.of(entry)
        if standing.outcome is not None and standing.outcome.state == "failed" and standing.job:
            # The service would tell of the same failure again.
            self._journal.note(entry, attempt=standing.attempt + 1, job="", outcome=None)
        self._progress.under_way += 1
        self._progress.show()
        try:
            outcome = await self._outcome(entry)
        finally:
            self._progress.under_way -= 1
        self._journal.note(entry, outcome=outcome)
        if outcome.state == "done":
            self._progress.done += 1
        else:
            self._progress.failed += 1
            self._progress.say(f"{entry.photo}{_line(entry)}: {outcome.error}")
        self.note()
        self._progress.show()

    async def _outcome(self, entry: Entry) -> Outcome:
        if entry.problem:
            return Outcome("failed", error=entry.problem)
        outcome = Outcome("failed")
        for _ in range(ATTEMPTS):
            try:
                job = await self._ended(await self._begun(entry))
                if job.answer is not None:
                    return await self._saved(entry, job.answer)
            except (NotFound, Conflict) as error:
                # The job or its images are gone, or its key is another request's.
                outcome = Outcome("failed", error=str(error), code=error.code)
            except Changed:
                return Outcome("failed", error="its file has changed since: start the batch again")
            except BackdropError as error:
                return Outcome("failed", error=str(error), code=error.code)
            except OSError as error:
                if error.errno not in NAMING and not _is_of(error, entry):
                    raise
                return Outcome("failed", error=f"{error.filename}: {error.strerror}")
            else:
                outcome = _failed(job)
                if outcome.code not in PASSING:
                    return outcome
            standing = self._journal.of(entry)
            self._journal.note(entry, attempt=standing.attempt + 1, job="")
        return outcome

    async def _begun(self, entry: Entry) -> Job:
        """The entry's job: the one that the journal knows, or what the service makes of it."""
        standing = self._journal.of(entry)
        if standing.job:
            return await self._patiently(lambda: self._client.job(standing.job))
        job = await self._submitted(entry, standing)
        self._journal.note(entry, job=job.id)
        return job

    async def _submitted(self, entry: Entry, standing: Standing) -> Job:
        async def submission() -> Job:
            # Read only now, so that few photos are in memory at a time.
            request: dict[str, Any] = {**entry.fields, **entry.contents()}
            request["idempotency_key"] = entry.idempotency_key(standing.attempt)
            image = request.pop("image")
            return await self._client.submit(image, **cast(Request, request))

        images = entry.fields.get("num_images", "")
        return await self._pace.submit(
            submission, int(images) if images.isdecimal() else USUAL_IMAGES
        )

    async def _ended(self, job: Job) -> Job:
        """A job at its end."""
        found = job
        while found.state in ("waiting", "running"):
            expected_s = found.expected_seconds
            wait_s = 2 * FIRST_LOOK_S if expected_s is None else expected_s / 2
            await asyncio.sleep(min(max(wait_s, FIRST_LOOK_S), LONGEST_LOOK_S))
            found = await self._patiently(lambda: self._client.job(job.id))
        self._pace.free()
        self._progress.ended(found.ended)
        return found

    async def _saved(self, entry: Entry, answer: Result) -> Outcome:
        name = self._journal.of(entry).name
        files = []
        for number, url in enumerate(answer.images, 1):
            path = self._out / f"{name}-{number}.{url.rpartition('.')[2]}"
            content = await self._patiently(partial(self._client.download, url))
            path.parent.mkdir(parents=True, exist_ok=True)
            _replace(path, content)
            files.append(path.relative_to(self._out).as_posix())
        return Outcome(
            "done",
            files=files,
            seeds=answer.seeds,
            fidelity=[None if each is None else asdict(each) for each in answer.fidelity],
            warnings=answer.warnings,
            withheld=[asdict(each) for each in answer.withheld],
        )

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """Call the service, which may be busy for a while."""
        while True:
            try:
                return await self._pace.call(call)
            except Busy as error:
                await asyncio.sleep(max(error.retry_after or 0.0, FIRST_LOOK_S))


def is_done(standing: Standing, out: Path) -> bool:
    """Whether an entry's images are saved, and still there."""
    outcome = standing.outcome
    if outcome is None or outcome.state != "done":
        return False
    return all((out / file).is_file() for file in outcome.files)


def _failed(job: Job) -> Outcome:
    if job.failure is None:
        return Outcome("failed", error="its job was cancelled", code="job_cancelled")
    return Outcome("failed", error=job.failure.error, code=job.failure.code)


def _is_of(error: OSError, entry: Entry) -> bool:
    """Whether a file of the entry cannot be read any more."""
    return error.filename in [str(path) for path in entry.files().values()]


def _line(entry: Entry) -> str:
    return "" if entry.row is None else f" (line {entry.row})"


def _replace(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    os.replace(part, path)
