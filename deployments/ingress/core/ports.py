"""What the use cases need of the other deployments, as plain async calls.

`ingress.remote` implements these over Serve handles; tests implement them in memory. An awaitable
that one call returns may be handed to another without being awaited: its value then travels between
the deployments and not through this process.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from deployments.admission_messages import Claim, Granted, Lease, RateLeft, Report
from deployments.encoded import EncodedCutOut, EncodedSources, FinishedImage
from deployments.ingress.core.callbacks.ports import Receivers, StoredCallbacks
from deployments.ingress.core.stores import (
    KeptAnswers,
    OwnedResults,
    Results,
    Sources,
    StoredCutOuts,
    StoredRequests,
    StoredTiles,
    StoredUploads,
    UnfinishedRequests,
)
from deployments.ingress.core.usage import Usage
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
