"""What is stored of a cut-out beside its pictures, and who may use it."""

from __future__ import annotations

import hashlib

import numpy as np
from anyio import to_thread
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deployments.errors import ImageNotFound, InternalError
from deployments.ingress.core.keys import KEY_PATTERN
from deployments.ingress.core.ports import Backends
from deployments.jobs import Photo

GONE = "cutout: there is no such cut-out, or no longer"


class CutOutRecord(BaseModel):
    """How a cut-out was made.

    Attributes:
        photo_key: The object key of the photo it was cut out of.
        mask_key: The object key of the product, which is the cut-out's own.
        photo_digest: See `digest_of`.
        photo_sha256: As of a `Recipe`.
        photo_opaque: As of a `Recipe`.
        api_key_name: Name of the API key that made it, empty without one.
        width: Of its pictures, in pixels.
        height: Of its pictures, in pixels.
        box: Left, top, width and height in pixels of where alpha is 16 and more.
        certainty: How sure it is, 0 to 1.
        warnings: Sentences about what may be wrong with it.
        version: Version of this package.
        created: ISO 8601 time in UTC.
    """

    model_config = ConfigDict(frozen=True)

    photo_key: str = Field(pattern=f"^{KEY_PATTERN}$")
    mask_key: str = Field(pattern=f"^{KEY_PATTERN}$")
    photo_digest: str
    photo_sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$")
    photo_opaque: bool | None = None
    api_key_name: str
    width: int
    height: int
    box: tuple[int, int, int, int]
    certainty: float
    warnings: tuple[str, ...]
    version: str
    created: str

    @property
    def sources(self) -> list[str]:
        """The stored sources that it needs, and so do results that are made with it."""
        return [self.photo_key, self.mask_key]


async def usable(backends: Backends, cutout: str, api_key_name: str) -> CutOutRecord:
    """The record of a cut-out that a caller may use.

    Args:
        backends: The other deployments.
        cutout: Its key.
        api_key_name: The caller's; a cut-out of another's is as good as none.

    Raises:
        ImageNotFound: There is none, or no longer.
        InternalError: The record is damaged.
    """
    document = await backends.cutouts.load_record(cutout)
    try:
        record = CutOutRecord.model_validate(document)
    except ValidationError:
        raise InternalError("the cut-out's record is damaged") from None
    if record.api_key_name != api_key_name:
        raise ImageNotFound(GONE)
    return record


async def digest_of(photo: Photo) -> str:
    """A digest of a photo's pixels as they were decoded, laid over white."""

    def digest() -> str:
        seen = hashlib.sha256(repr(photo.pixels.shape).encode())
        seen.update(np.ascontiguousarray(photo.pixels).data)
        return seen.hexdigest()

    return await to_thread.run_sync(digest)  # 12 million pixels take some 30 ms
