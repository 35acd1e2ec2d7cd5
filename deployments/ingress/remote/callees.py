"""The methods that the ingress calls on other deployments.

The classes behind the handles have these methods; `deployments.app` lets the type checker compare
them. So a call that is misspelled, or that a deployment no longer has, fails the check.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import date
from typing import Literal, Protocol

from deployments.admission_messages import Claim, Granted, Lease, RateLeft, Report
from deployments.encoded import EncodedCutOut, EncodedSources, FinishedImage
from deployments.errors import IdempotencyConflict, Overloaded, RateLimited
from deployments.jobs import (
    GeneratedImage,
    Hints,
    ImageJob,
    Layout,
    Mask,
    OpenedPhoto,
    Photo,
    Preserve,
    Progress,
)
from deployments.rate_settings import RateSettings
from deployments.recipes import Recipe
from storage.store import StoredObject


class AdmissionCalls(Protocol):
    """The admission, whose refusals are values."""

    async def take(
        self, replica: str, lease: Lease, rates: RateSettings
    ) -> Granted | Overloaded | RateLimited:
        """See `Admission.take`."""
        ...

    async def count(
        self, api_key_name: str, rates: RateSettings
    ) -> tuple[RateLeft, ...] | RateLimited:
        """See `Admission.count`."""
        ...

    async def claim(self, replica: str, claim: Claim) -> bool | IdempotencyConflict:
        """See `Admission.claim`."""
        ...

    async def report(self, report: Report) -> None:
        """See `Admission.report`."""
        ...


class StudioCalls(Protocol):
    """The studio."""

    async def open_upload(
        self,
        photo: Photo,
        mask: Mask | None,
        preserve: Preserve,
        layout: Layout,
        first: Photo | None,
    ) -> OpenedPhoto:
        """See `Studio.open_upload`."""
        ...

    async def open_result(
        self, photo: Photo | None, product: bytes | None, layout: Layout, first: Photo | None
    ) -> OpenedPhoto | None:
        """See `Studio.open_result`."""
        ...

    async def finish(
        self, image: GeneratedImage | None, recipe: Recipe, opened: OpenedPhoto
    ) -> FinishedImage:
        """See `Studio.finish`."""
        ...

    async def encode_sources(
        self, photo: Photo | None, opened: OpenedPhoto | None
    ) -> EncodedSources:
        """See `Studio.encode_sources`."""
        ...

    async def cut_out(
        self, photo: Photo, mask: Mask | None, hints: Hints, earlier: bytes | None
    ) -> EncodedCutOut:
        """See `Studio.cut_out`."""
        ...

    async def make_tile(self, file: bytes, width: int) -> bytes:
        """See `Studio.make_tile`."""
        ...


class ModelCalls(Protocol):
    """A model."""

    def generate(
        self, job: ImageJob, opened: OpenedPhoto, progress: bool
    ) -> AsyncGenerator[Progress | GeneratedImage]:
        """See `ModelReplica.generate`."""
        ...


class ResultCalls(Protocol):
    """The storage's results."""

    async def save(self, key: str, file: bytes, recipe: Mapping[str, object]) -> None:
        """See `Storage.save`."""
        ...

    async def load_image(self, key: str, file_format: str) -> StoredObject | None:
        """See `Storage.load_image`."""
        ...

    async def borrow(
        self, key: str, file_format: str, sources: Sequence[str], results: Sequence[str]
    ) -> StoredObject | None:
        """See `Storage.borrow`."""
        ...

    async def load_recipe(self, key: str) -> dict[str, object] | None:
        """See `Storage.load_recipe`."""
        ...

    async def results_of(
        self, owner: str, after: str | None, most: int
    ) -> tuple[list[tuple[str, dict[str, object]]], str | None]:
        """See `Storage.results_of`."""
        ...

    async def delete(self, key: str, sources: Sequence[str]) -> None:
        """See `Storage.delete`."""
        ...


class TileCalls(Protocol):
    """The storage's smaller copies of results."""

    async def save_tile(self, key: str, width: int, webp: bytes) -> bool:
        """See `Storage.save_tile`."""
        ...

    async def load_tile(self, key: str, file_format: str, width: int) -> StoredObject | None:
        """See `Storage.load_tile`."""
        ...


class SourceCalls(Protocol):
    """The storage's sources."""

    async def keep_sources(self, key: str, results: Sequence[str], encoded: EncodedSources) -> None:
        """See `Storage.keep_sources`."""
        ...

    async def load_source(self, key: str) -> StoredObject | None:
        """See `Storage.load_source`."""
        ...

    async def load_mask(self, key: str) -> bytes | None:
        """See `Storage.load_mask`."""
        ...


class CutOutCalls(Protocol):
    """The storage's cut-outs."""

    async def save_cutout(
        self, key: str, encoded: EncodedCutOut, record: Mapping[str, object]
    ) -> None:
        """See `Storage.save_cutout`."""
        ...

    async def load_cutout(self, key: str, part: Literal["image", "mask"]) -> StoredObject | None:
        """See `Storage.load_cutout`."""
        ...

    async def load_cutout_record(self, key: str) -> dict[str, object] | None:
        """See `Storage.load_cutout_record`."""
        ...

    async def borrow_cutout(
        self, key: str, sources: Sequence[str], results: Sequence[str]
    ) -> StoredObject | None:
        """See `Storage.borrow_cutout`."""
        ...

    async def delete_cutout(self, key: str, sources: Sequence[str]) -> None:
        """See `Storage.delete_cutout`."""
        ...


class AnswerCalls(Protocol):
    """The storage's kept answers."""

    async def save_answer(self, key: str, answer: Mapping[str, object]) -> None:
        """See `Storage.save_answer`."""
        ...

    async def load_answer(self, key: str) -> dict[str, object] | None:
        """See `Storage.load_answer`."""
        ...


class UsageCalls(Protocol):
    """The storage's counts of what API keys use."""

    async def save_usage(
        self, day: date, replica: str, keys: Mapping[str, Mapping[str, int]]
    ) -> None:
        """See `Storage.save_usage`."""
        ...


class RequestCalls(Protocol):
    """The storage's background requests."""

    async def enter_request(
        self, owner: str, request: str, most_own: int, most: int
    ) -> Literal["own", "all"] | None:
        """See `RequestCalls.enter_request`."""
        ...

    async def unfinished_requests(self) -> list[tuple[str, str]]:
        """See `RequestCalls.unfinished_requests`."""
        ...

    async def leave_request(self, owner: str, request: str) -> None:
        """See `RequestCalls.leave_request`."""
        ...

    async def save_request(
        self, owner: str, request: str, record: Mapping[str, object], version: str
    ) -> str | None:
        """See `RequestCalls.save_request`."""
        ...

    async def load_request(self, owner: str, request: str) -> tuple[dict[str, object], str] | None:
        """See `RequestCalls.load_request`."""
        ...

    async def requests_of(
        self, owner: str, after: str | None, most: int
    ) -> list[tuple[str, dict[str, object]]]:
        """See `RequestCalls.requests_of`."""
        ...

    async def save_uploads(self, request: str, files: Mapping[int, bytes]) -> None:
        """See `RequestCalls.save_uploads`."""
        ...

    async def load_uploads(self, request: str) -> dict[int, bytes]:
        """See `RequestCalls.load_uploads`."""
        ...


class CallbackCalls(Protocol):
    """The storage's callbacks."""

    async def save_callback(
        self, owner: str, request: str, callback: Mapping[str, object], version: str
    ) -> str | None:
        """See `CallbackCalls.save_callback`."""
        ...

    async def load_callback(self, owner: str, request: str) -> tuple[dict[str, object], str] | None:
        """See `CallbackCalls.load_callback`."""
        ...

    async def callbacks(self) -> list[tuple[str, str]]:
        """See `CallbackCalls.callbacks`."""
        ...

    async def remove_callback(self, owner: str, request: str) -> None:
        """See `CallbackCalls.remove_callback`."""
        ...
