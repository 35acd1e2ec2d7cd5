"""What the use cases need of the other deployments, as plain async calls.

`ingress.remote` implements these over Serve handles; tests implement them in memory. An awaitable
that one call returns may be handed to another without being awaited: its value then travels between
the deployments and not through this process.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from deployments.admission_messages import Claim, Granted, Lease, RateLeft, Report
from deployments.composition import FileFormat
from deployments.ingress.core.background.names import Name
from deployments.ingress.core.callbacks.ports import Receivers, StoredCallbacks
from deployments.ingress.core.usage import Usage
from deployments.jobs import (
    EncodedCutOut,
    EncodedSources,
    FinishedImage,
    GeneratedImage,
    Hints,
    ImageJob,
    Layout,
    Mask,
    OpenedPhoto,
    Photo,
    Preserve,
    Progress,
    StoredImage,
)
from deployments.rate_settings import RateSettings
from deployments.recipes import Recipe


class Studio(Protocol):
    """Pixel work."""

    def lend(self, photo: Photo) -> Awaitable[Photo]:
        """Put a photo where all calls below find it, so that it is sent once."""
        ...

    def open_upload(
        self,
        photo: Awaitable[Photo],
        mask: Mask | None,
        preserve: Preserve,
        layout: Layout,
        first: Awaitable[Photo] | None = None,
    ) -> Awaitable[OpenedPhoto]:
        """Cut the product out of a photo, and make both ready for a layout.

        A model that is shown the first photo of a conversation gets it with them.

        Awaited it may raise ProductNotFound or InvalidRequest.
        """
        ...

    def open_result(
        self,
        photo: Awaitable[Photo] | None,
        product: Awaitable[bytes],
        layout: Layout,
        first: Awaitable[Photo] | None = None,
    ) -> Awaitable[OpenedPhoto]:
        """The same with a product that was stored; a layout that reads no photo needs none.

        Awaited it may raise ImageNotFound or InvalidRequest.
        """
        ...

    def finish(
        self, image: GeneratedImage | None, recipe: Recipe, opened: Awaitable[OpenedPhoto]
    ) -> Awaitable[FinishedImage]:
        """Compose a result as its recipe says, and encode it with the recipe's public part.

        Without an image the background is what the recipe's look says, and the product is kept.
        """
        ...

    def encode_sources(
        self, photo: Awaitable[Photo] | None, opened: Awaitable[OpenedPhoto] | None
    ) -> Awaitable[EncodedSources]:
        """Encode an upload and a product, as far as they are to be stored, without metadata."""
        ...


class Cutter(Protocol):
    """Pixel work that is not for one model: the studio does it too."""

    def cut_out(
        self,
        photo: Awaitable[Photo],
        mask: Mask | None,
        hints: Hints,
        earlier: Awaitable[bytes] | None,
    ) -> Awaitable[EncodedCutOut]:
        """Cut the product out of a photo; hints correct it, or an earlier one where there is one.

        Awaited it may raise ProductNotFound or InvalidRequest.
        """
        ...

    def make_tile(self, file: bytes, width: int) -> Awaitable[bytes]:
        """Make a smaller WebP of a result's file, at most so many pixels wide."""
        ...


class Models(Protocol):
    """The model deployments."""

    def generate(
        self, model: str, job: ImageJob, opened: Awaitable[OpenedPhoto], *, progress: bool
    ) -> AsyncGenerator[Progress | GeneratedImage]:
        """Run a job on a model; its last item is the image. Closing the generator cancels it."""
        ...


class Results(Protocol):
    """Stored results."""

    async def save(self, key: str, file: bytes, recipe: Mapping[str, object]) -> None:
        """Store an image, of the format that its recipe says, and the recipe under one key."""
        ...

    async def load_image(self, key: str, file_format: FileFormat) -> StoredImage:
        """Read an image, or raise ImageNotFound; also where it has another format."""
        ...

    async def borrow(
        self, key: str, file_format: FileFormat, sources: Sequence[str], results: Sequence[str]
    ) -> StoredImage:
        """Mark that new results need the sources of one; then read its image.

        Raises ImageNotFound.
        """
        ...

    async def load_recipe(self, key: str) -> Mapping[str, object]:
        """Read a recipe, or raise ImageNotFound."""
        ...

    async def delete(self, key: str, sources: Sequence[str]) -> None:
        """Remove an image and its recipe, and those sources that no other result needs."""
        ...


class OwnedResults(Protocol):
    """Whose the stored results are."""

    async def of(
        self, owner: str, after: str | None, most: int
    ) -> tuple[Sequence[tuple[str, Mapping[str, object]]], str | None]:
        """Read an owner's results, newest first, from the one after a key on.

        Returns keys and recipes, and the key after which there are more, if so.
        """
        ...


class StoredTiles(Protocol):
    """Stored smaller copies of results."""

    async def save(self, key: str, width: int, webp: Awaitable[bytes]) -> None:
        """Store a copy beside its result, or raise ImageNotFound where that is gone."""
        ...

    async def load(self, key: str, file_format: FileFormat, width: int) -> StoredImage | None:
        """Read a copy; None where there is none, or no result of this format."""
        ...


class Sources(Protocol):
    """The stored photos that results are made from, and the products cut out of them."""

    async def keep(
        self, key: str, results: Sequence[str], encoded: Awaitable[EncodedSources]
    ) -> None:
        """Store a source, after the marks that results, some still to come, need it."""
        ...

    def load_product(self, key: str) -> Awaitable[bytes]:
        """Read the product of a photo, or raise ImageNotFound."""
        ...

    async def load_photo(self, key: str) -> bytes:
        """Read a photo, or raise ImageNotFound."""
        ...


class StoredCutOuts(Protocol):
    """Stored cut-outs: their pictures and their records."""

    async def save(
        self, key: str, encoded: Awaitable[EncodedCutOut], record: Mapping[str, object]
    ) -> None:
        """Store a cut-out, whose photo is stored and marked already."""
        ...

    async def load(self, key: str, part: Literal["image", "mask"]) -> StoredImage:
        """Read a cut-out's picture or mask, or raise ImageNotFound."""
        ...

    async def load_record(self, key: str) -> Mapping[str, object]:
        """Read a cut-out's record, or raise ImageNotFound."""
        ...

    async def borrow(self, key: str, sources: Sequence[str], results: Sequence[str]) -> None:
        """Mark that results, or another cut-out, need sources of one; then see that it is there.

        Raises ImageNotFound.
        """
        ...

    async def delete(self, key: str, sources: Sequence[str]) -> None:
        """Remove a cut-out, and those of its sources that nothing else needs."""
        ...


class KeptAnswers(Protocol):
    """Stored answers of idempotency keys."""

    async def save(self, name: str, answer: Mapping[str, object]) -> None:
        """Store an answer under a digest of its key, over an older one."""
        ...

    async def load(self, name: str) -> Mapping[str, object] | None:
        """Read an answer; None where none is stored."""
        ...


class StoredRequests(Protocol):
    """Stored records of background requests."""

    async def save(self, name: Name, record: Mapping[str, object], version: str) -> str | None:
        """Replace one version of a record, or the lack of one where it is empty.

        Returns the new version; None where somebody else was faster.
        """
        ...

    async def load(self, name: Name) -> tuple[Mapping[str, object], str] | None:
        """Read a record and its version; None where there is none."""
        ...

    async def newest(
        self, owner: str, after: str | None, most: int
    ) -> Sequence[tuple[str, Mapping[str, object]]]:
        """Read an owner's requests, newest first, from the one after a key on: keys, records."""
        ...


class UnfinishedRequests(Protocol):
    """The marks of background requests that are not finished."""

    async def enter(self, name: Name, most_own: int, most: int) -> Literal["own", "all"] | None:
        """Mark one, unless its owner would have, or all would be, more than so many.

        Returns which of the two bounds it would pass, if any.
        """
        ...

    async def all(self) -> Sequence[Name]:
        """List them, in no order."""
        ...

    async def leave(self, name: Name) -> None:
        """Remove the files of one that is finished, and its mark."""
        ...


class StoredUploads(Protocol):
    """The files that came with background requests, by their numbers from 1."""

    async def save(self, request: str, files: Mapping[int, bytes]) -> None:
        """Store files."""
        ...

    async def load(self, request: str) -> Mapping[int, bytes]:
        """Read files."""
        ...


class Admission(Protocol):
    """What all ingress replicas share. Asking again for the same lease or claim is harmless."""

    async def take(self, replica: str, lease: Lease, rates: RateSettings) -> Granted:
        """Take places within the rates of their API key, or raise Overloaded or RateLimited."""
        ...

    async def count(self, api_key_name: str, rates: RateSettings) -> tuple[RateLeft, ...]:
        """Count a request without images, and tell what is left, or raise RateLimited."""
        ...

    async def claim(self, replica: str, claim: Claim) -> bool:
        """Claim an idempotency key; false while another request for the same has it.

        Raises IdempotencyConflict when another request has it for something else.
        """
        ...

    async def report(self, report: Report) -> None:
        """Tell all that a replica holds."""
        ...


class Replicas(Protocol):
    """Which deployments have a replica that runs."""

    @property
    def frame(self) -> Sequence[str]:
        """Names of the deployments that requests need whatever their model is."""
        ...

    async def running(self) -> Collection[str]:
        """Names of the deployments that have one, as it was seen last; it does not wait long."""
        ...


@dataclass(frozen=True, slots=True)
class Backends:
    """Everything behind the ingress.

    Attributes:
        studio: Pixel work.
        cutter: More of it.
        models: The model deployments.
        results: Stored results.
        owned: Whose they are.
        tiles: Smaller copies of them.
        sources: What they were made from.
        cutouts: Stored cut-outs.
        answers: Stored answers of idempotency keys.
        requests: Stored background requests.
        unfinished: Those of them that are not finished.
        uploads: The files they came with.
        callbacks: How far their callbacks are.
        receivers: Whom these go to.
        admission: What all ingress replicas share.
        replicas: Which deployments have a replica.
        usage: Hears what API keys use.
    """

    studio: Studio
    cutter: Cutter
    models: Models
    results: Results
    owned: OwnedResults
    tiles: StoredTiles
    sources: Sources
    cutouts: StoredCutOuts
    answers: KeptAnswers
    requests: StoredRequests
    unfinished: UnfinishedRequests
    uploads: StoredUploads
    callbacks: StoredCallbacks
    receivers: Receivers
    admission: Admission
    replicas: Replicas
    usage: Usage
