"""The ingress replica: Serve handles become plain async calls, Ray's errors become ours.

The only part of the ingress that knows Ray.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Generator, Iterable, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from typing import Any, TypeVar

from fastapi import FastAPI
from ray.exceptions import (
    ActorDiedError,
    ActorUnavailableError,
    RayTaskError,
    TaskCancelledError,
)
from ray.serve.exceptions import (
    BackPressureError,
    DeploymentUnavailableError,
    RayServeException,
)
from ray.serve.handle import DeploymentHandle, DeploymentResponse
from ray.serve.metrics import Histogram

from deployments.errors import (
    ImageNotFound,
    InternalError,
    Overloaded,
    ReplicaLost,
    ServiceError,
    Unavailable,
)
from deployments.ingress.api import create_api
from deployments.ingress.backends import Backends
from deployments.ingress.keys import KEYS_VARIABLE, KeyRing
from deployments.ingress.problems import UNEXPECTED
from deployments.ingress.service import Service
from deployments.jobs import (
    FinishedImage,
    GeneratedImage,
    ImageJob,
    Mask,
    Photo,
    PreparedPhoto,
    Product,
    Progress,
    Recipe,
    StoredImage,
)
from deployments.logs import join_replica_log
from deployments.settings import AppArgs
from storage.errors import CorruptObject, ObjectNotFound, StorageError
from storage.names import MASKS

logger = logging.getLogger(__name__)

RETRY_AFTER_S = 5.0
"""Suggested wait when a part is down: about what a replica takes to come back."""

T = TypeVar("T")
PROBE_S = 5.0
"""Seconds without a first answer after which a deployment is asked whether it can answer at all."""

FIDELITY_BOUNDARIES = [0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.97, 0.99, 0.999]
"""Upper bounds of the histograms' buckets; what is above the last is as good as perfect."""

Handle = DeploymentHandle[Any]


class Ingress:
    """One replica of the HTTP surface.

    Args:
        args: The application's arguments.
        studio: The studio deployment.
        storage: The storage deployment.
        models: The model deployments by catalog id.
    """

    def __init__(
        self, args: AppArgs, studio: Handle, storage: Handle, models: dict[str, Handle]
    ) -> None:
        join_replica_log()
        self._keys = KeyRing.from_environment()
        if args.ingress.require_key and self._keys is None:
            raise ValueError(f"require_key is on, but {KEYS_VARIABLE} is not set")
        self._args = args
        self._version = version("backdrop")
        self._service = Service(
            catalog=args.models,
            settings=args.ingress,
            backends=Backends(
                studio=_Studio(studio),
                models=_Models(models),
                results=_Results(storage),
                sources=_Sources(storage),
            ),
            shape_floor=args.studio.shape_floor,
            version=self._version,
        )

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Build the application in the replica, so that it never has to be pickled."""
        return create_api(
            self._service,
            self._args.ingress,
            version=self._version,
            retention_s=self._args.storage.retention_s,
            keys=self._keys,
            sends_request_id=False,  # Serve's proxy puts it into the answer
        )


class _Reply(Awaitable[T]):
    """A handle call's answer: awaited it gives the value, handed on it gives its reference."""

    def __init__(self, response: DeploymentResponse[T], callee: _Callee) -> None:
        self.response = response
        self._callee = callee

    def __await__(self) -> Generator[Any, None, T]:
        return self._value().__await__()

    async def _value(self) -> T:
        try:
            return await self._callee.patiently(self.response)
        except asyncio.CancelledError:
            self.response.cancel()  # type: ignore[no-untyped-call]  # Ray's own lack of types
            raise
        except Exception as error:
            raise _ours(error, self._callee.name) from None


class _Callee:
    """A deployment and what to call it in sentences."""

    def __init__(self, handle: Handle, name: str) -> None:
        self.name = name
        self._handle = handle

    def call(self, method: str, *args: object) -> _Reply[Any]:
        """Call a method; a reply among the arguments goes as its reference and passes us by."""
        response = getattr(self._handle, method).remote(*_references(args))
        return _Reply(response, self)

    async def stream(self, method: str, *args: object) -> AsyncGenerator[Any]:
        """Call a generator method; closing early cancels the call."""
        items = getattr(self._handle.options(stream=True), method).remote(*_references(args))
        try:
            yield await self.patiently(anext(items))
            async for item in items:
                yield item
        except StopAsyncIteration:
            return
        except Exception as error:
            raise _ours(error, self.name) from None
        finally:
            items.cancel()

    async def patiently(self, answer: Awaitable[T]) -> T:
        """Wait for an answer, but not for one that can never come.

        Serve refuses a call to a deployment that has failed to start, but never tells one that was
        waiting for its first replica by then. So a deployment that is silent is called again.
        """
        waiting = asyncio.ensure_future(answer)
        try:
            while not (await asyncio.wait([waiting], timeout=PROBE_S))[0]:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._handle.check_health.remote(), timeout=1)
            return waiting.result()
        finally:
            waiting.cancel()


def _references(args: Iterable[object]) -> list[Any]:
    return [arg.response if isinstance(arg, _Reply) else arg for arg in args]


class _Studio:
    def __init__(self, handle: Handle) -> None:
        self._studio = _Callee(handle, "the studio")
        self._fidelity = {
            name: Histogram(
                f"backdrop_fidelity_{name}",
                f"The {name} fidelity of images that keep their product, 0 to 1.",
                boundaries=FIDELITY_BOUNDARIES,
                tag_keys=("model",),
            )
            for name in ("pixels", "shape")
        }

    def find_product(self, photo: Photo, mask: Mask | None) -> Awaitable[Product]:
        return self._studio.call("find_product", photo, mask)

    def restore_product(self, png: Awaitable[bytes]) -> Awaitable[Product]:
        return self._studio.call("restore_product", png)

    def prepare(
        self, photo: Photo, product: Awaitable[Product] | None, size: int
    ) -> Awaitable[PreparedPhoto]:
        return self._studio.call("prepare", photo, product, size)

    async def finish(
        self, image: GeneratedImage, recipe: Recipe, product: Awaitable[Product] | None
    ) -> FinishedImage:
        finished: FinishedImage = await self._studio.call("finish", image, recipe, product)
        if finished.fidelity is not None:
            tags = {"model": recipe.model}
            self._fidelity["pixels"].observe(finished.fidelity.pixels, tags)
            self._fidelity["shape"].observe(finished.fidelity.shape, tags)
        return finished

    def encode_source(self, source: Photo | Awaitable[Product]) -> Awaitable[bytes]:
        return self._studio.call("encode_source", source)


class _Models:
    def __init__(self, handles: Mapping[str, Handle]) -> None:
        self._models = {
            name: _Callee(handle, f"model {name!r}") for name, handle in handles.items()
        }

    def generate(
        self, model: str, job: ImageJob, photo: Awaitable[PreparedPhoto], *, progress: bool
    ) -> AsyncGenerator[Progress | GeneratedImage]:
        return self._models[model].stream("generate", job, photo, progress)


class _Results:
    def __init__(self, handle: Handle) -> None:
        self._storage = _Callee(handle, "the storage")

    async def save(self, key: str, png: bytes, recipe: Mapping[str, object]) -> None:
        await self._storage.call("save", key, png, dict(recipe))

    async def load_image(self, key: str) -> StoredImage:
        stored = await self._storage.call("load_image", key)
        return StoredImage(png=stored.data, etag=stored.etag, modified=stored.modified)

    async def load_recipe(self, key: str) -> Mapping[str, object]:
        recipe: Mapping[str, object] = await self._storage.call("load_recipe", key)
        return recipe

    async def delete(self, key: str, sources: Sequence[str]) -> None:
        await self._storage.call("delete", key, list(sources))


class _Sources:
    def __init__(self, handle: Handle) -> None:
        self._storage = _Callee(handle, "the storage")

    async def refer(self, source: str, results: Sequence[str]) -> None:
        await self._storage.call("refer", source, list(results))

    async def save_photo(self, key: str, png: Awaitable[bytes]) -> None:
        await self._storage.call("save_source", key, png)

    async def save_product(self, key: str, png: Awaitable[bytes]) -> None:
        await self._storage.call("save_mask", key, png)

    def load_product(self, key: str) -> Awaitable[bytes]:
        return self._storage.call("load_mask", key)


def _ours(error: BaseException, callee: str) -> ServiceError:
    """The error a caller may see for what happened in, or on the way to, another deployment.

    Args:
        error: What the handle raised.
        callee: Who was called, for the sentence.
    """
    while isinstance(error, RayTaskError):
        # Unwrapped first: it poses as its cause, and its text holds a traceback and addresses.
        error = error.cause
    match error:
        case ServiceError():
            return error
        case ObjectNotFound() if error.name.startswith(MASKS):
            return ImageNotFound(
                "the product that the image was made with is no longer stored; "
                "preserve_product=false varies the image without it"
            )
        case ObjectNotFound():
            return ImageNotFound("the image does not exist, or no longer")
        case CorruptObject():
            logger.error("the storage holds a damaged object: %s", error)
            return InternalError("the stored image is damaged")
        case StorageError():
            logger.error("the storage failed: %s", error)
            return Unavailable("the storage is not available now", RETRY_AFTER_S)
        case BackPressureError():
            return Overloaded(f"{callee} has no room now", RETRY_AFTER_S)
        case DeploymentUnavailableError():
            return Unavailable(f"{callee} is not available", RETRY_AFTER_S)
        case ActorDiedError() | ActorUnavailableError() | TaskCancelledError():
            logger.warning("%s lost a replica: %s", callee, type(error).__name__)
            return ReplicaLost(f"{callee} is not available now", RETRY_AFTER_S)
        case RayServeException():
            logger.error("%s could not be called: %s", callee, error)
            return Unavailable(f"{callee} is not available now", RETRY_AFTER_S)
    logger.error("%s failed", callee, exc_info=error)
    return InternalError(UNEXPECTED)
