"""The use cases around cut-outs: cut a product out of a photo, show it, remove it.

A cut-out takes no model's place, and it is one answer: nothing of it is delivered before all of it
is stored. It is stored as what results are made from is, by the rules of `storage.lineage`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

from deployments.encoded import StoredImage
from deployments.errors import (
    ImageNotFound,
    InvalidRequest,
    ServiceError,
)
from deployments.ingress.core.cutout_records import GONE, CutOutRecord, digest_of, usable
from deployments.ingress.core.decoder import Decoder
from deployments.ingress.core.generation import FORGET_S
from deployments.ingress.core.idempotency import Idempotency, KeptAnswer, fingerprint
from deployments.ingress.core.job_source import (
    file_format,
    lineage,
    photo_opaque,
    photo_sha256,
    recipe_of,
)
from deployments.ingress.core.keys import new_key
from deployments.ingress.core.ports import Backends
from deployments.ingress.core.result_urls import ResultName
from deployments.ingress.core.sent_files import SentFile
from deployments.ingress.core.studio_places import StudioPlaces
from deployments.ingress.core.terms import Terms
from deployments.jobs import Hints, Mask, Photo

logger = logging.getLogger(__name__)

NOT_KEPT = (
    "the answer could not be kept for its Idempotency-Key: the same request would make a new "
    "cut-out"
)


@dataclass(frozen=True, slots=True, eq=False)
class CutOutOrder:
    """What a caller wants to be cut out: of exactly one of the first three.

    Attributes:
        image: A photo as it was sent.
        result: A result; the first upload of its conversation is meant.
        cutout: An earlier cut-out's; its photo is meant.
        product_mask: Marks the product, as it was sent.
        keep: Strokes over what belongs to the product, as they were sent.
        remove: Strokes over what does not.
        points: Places that belong to the product: shares of width and height, 0 to 1.
    """

    image: SentFile | None = None
    result: ResultName | None = None
    cutout: str | None = None
    product_mask: SentFile | None = None
    keep: SentFile | None = None
    remove: SentFile | None = None
    points: tuple[tuple[float, float], ...] = ()

    def check(self) -> None:
        """Refuse what contradicts itself.

        Raises:
            InvalidRequest: It names too many sources or none, or marks the product twice.
        """
        sources = [self.image, self.result, self.cutout]
        given = sum(source is not None for source in sources)
        if given == 0:
            raise InvalidRequest("image, image_url or cutout is required: send one of them")
        if given > 1:
            raise InvalidRequest(
                "image, image_url and cutout each say what is cut out of: send one of them"
            )
        hinted = self.keep is not None or self.remove is not None or bool(self.points)
        if self.product_mask is not None and (self.cutout is not None or hinted):
            raise InvalidRequest(
                "product_mask marks the whole product, and cutout, keep, remove and point correct "
                "what was found: send one or the others"
            )


@dataclass(frozen=True, slots=True, eq=False)
class _Opened:
    """What is cut out of.

    Attributes:
        photo: Its pixels.
        photo_key: The object key it has, or will have.
        photo_opaque: As of a `Recipe`.
        stored: Whether it is stored already.
        earlier: The product that hints correct; None without one.
    """

    photo: Photo
    photo_key: str
    photo_opaque: bool | None
    stored: bool
    earlier: Awaitable[bytes] | None = None


class CutOuts:
    """Cut-outs over the other deployments.

    Args:
        backends: The other deployments.
        decoder: Turns files into pixels.
        idempotency: Repeats answers.
        places: Room in the studio.
        version: Version of this package, for the records.
    """

    def __init__(
        self,
        backends: Backends,
        decoder: Decoder,
        idempotency: Idempotency,
        places: StudioPlaces,
        *,
        version: str,
    ) -> None:
        self._backends = backends
        self._decoder = decoder
        self._idempotency = idempotency
        self._places = places
        self._version = version

    async def cut_out(
        self,
        order: CutOutOrder,
        terms: Terms,
        render: Callable[[CutOutRecord], dict[str, object]],
    ) -> tuple[Mapping[str, object], bool]:
        """Cut out a product and store it.

        Args:
            order: What to cut out.
            terms: See there.
            render: Makes the answer, which has a list of `warnings`.

        Returns:
            The answer, and whether it was given before, for the same idempotency key.

        Raises:
            InvalidRequest: The order contradicts itself or cannot be followed; the sentence names
                the field.
            InvalidImage: A file is not an image this service accepts.
            ProductNotFound: There is no product.
            ImageNotFound: The result, the cut-out or its photo does not exist, or no longer.
            IdempotencyConflict: The idempotency key belongs to a request for something else.
            Overloaded: There is no room for another cut-out now.
            RateLimited: The key would pass its rate.
            DeadlineExceeded: It passed meanwhile.
        """
        order.check()
        if terms.idempotency_key is None:
            async with terms.deadline.bounds():
                return render(await self._admitted(order, terms)), False
        turn = await self._idempotency.turn(
            terms.api_key_name, terms.idempotency_key, _asked(order), terms.deadline
        )
        if isinstance(turn, KeptAnswer):
            return turn.answer, True
        try:
            async with terms.deadline.bounds():
                answer = render(await self._admitted(order, terms))
            if await turn.keep(answer, ()):
                return answer, False
            told = answer["warnings"]
            return {**answer, "warnings": [*told, NOT_KEPT]}, False  # type: ignore[misc]  # a list
        finally:
            turn.close()

    async def load(self, cutout: str, part: Literal["image", "mask"]) -> StoredImage:
        """Read a cut-out's picture or its mask.

        Raises:
            ImageNotFound: It does not exist, or no longer.
        """
        return await self._backends.cutouts.load(cutout, part)

    async def delete(self, cutout: str, api_key_name: str) -> None:
        """Remove a cut-out, and what it was made from where nothing else needs that.

        Raises:
            ImageNotFound: It does not exist, or no longer, or it is another API key's.
        """
        record = await usable(self._backends, cutout, api_key_name)
        await self._backends.cutouts.delete(cutout, record.sources)

    async def _admitted(self, order: CutOutOrder, terms: Terms) -> CutOutRecord:
        api_key_name = terms.api_key_name
        place = await terms.counted(self._places.take(api_key_name))
        try:
            key, referred = new_key(), list[str]()
            try:
                return await self._make(key, order, api_key_name, referred)
            except BaseException:
                await self._forget(key, referred)
                raise
        finally:
            place.close()

    async def _make(
        self, key: str, order: CutOutOrder, api_key_name: str, referred: list[str]
    ) -> CutOutRecord:
        """Cut out and store; notes the sources that it has marked."""
        studio, backends = self._backends.studio, self._backends
        opened = await self._open(key, order, api_key_name, referred)
        mask = None
        if order.product_mask is not None:
            mask = await self._decoder.mask(await order.product_mask.read(), opened.photo)
        hints = Hints(
            keep=await self._strokes(order.keep, "keep"),
            remove=await self._strokes(order.remove, "remove"),
            points=order.points,
        )
        photo = studio.lend(opened.photo)
        # Without hints there is nothing to correct: the photo is searched anew.
        earlier = opened.earlier if hints.given else None
        encoded = backends.cutter.cut_out(photo, mask, hints, earlier)
        source = None if opened.stored else studio.encode_sources(photo, None)
        digest = await digest_of(opened.photo)
        made = await encoded
        if source is not None:
            referred.append(opened.photo_key)
            await backends.sources.keep(opened.photo_key, [key], source)
        record = CutOutRecord(
            photo_key=opened.photo_key,
            mask_key=key,
            photo_digest=digest,
            photo_sha256=opened.photo.file_sha256,
            photo_opaque=opened.photo_opaque,
            api_key_name=api_key_name,
            width=made.width,
            height=made.height,
            box=made.box,
            certainty=made.certainty,
            warnings=made.warnings,
            version=self._version,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        referred.append(key)
        await backends.cutouts.save(key, encoded, record.model_dump(mode="json"))
        return record

    async def _strokes(self, drawn: SentFile | None, field: str) -> Mask | None:
        return None if drawn is None else await self._decoder.strokes(await drawn.read(), field)

    async def _open(
        self, key: str, order: CutOutOrder, api_key_name: str, referred: list[str]
    ) -> _Opened:
        backends, earlier = self._backends, None
        if order.image is not None:
            photo = await self._decoder.photo(await order.image.read())
            return _Opened(photo, new_key(), photo.alpha is None, stored=False)
        # What is stored is marked first, and then it is seen whether it is still there.
        if order.result is not None:
            recipe = await recipe_of(backends, order.result)
            photo_key, sha256 = lineage(recipe)[0], photo_sha256(recipe)
            opaque = photo_opaque(recipe)
            referred.append(photo_key)
            borrowed = order.result.key, file_format(recipe)
            await backends.results.borrow(*borrowed, [photo_key], [key])
        else:
            cutout = order.cutout or ""  # one of the three is there
            record = await usable(backends, cutout, api_key_name)
            photo_key, sha256 = record.photo_key, record.photo_sha256
            opaque = record.photo_opaque
            referred.append(photo_key)
            await backends.cutouts.borrow(cutout, [photo_key], [key])
            earlier = backends.sources.load_product(cutout)
            try:
                await earlier  # it goes to the studio by reference, and must be there
            except ImageNotFound:
                raise ImageNotFound(GONE) from None
        photo = await self._decoder.stored(await backends.sources.load_photo(photo_key))
        photo = replace(photo, file_sha256=sha256)
        return _Opened(photo, photo_key, opaque, stored=True, earlier=earlier)

    async def _forget(self, key: str, referred: list[str]) -> None:
        """Remove a cut-out that nobody will get, and the sources that only it needs."""
        if not referred:
            return  # nothing is stored before that
        try:
            async with asyncio.timeout(FORGET_S):
                await self._backends.cutouts.delete(key, referred)
        except (ServiceError, TimeoutError) as error:
            logger.warning("a failed request's cut-out could not be removed: %s", error)


def _asked(order: CutOutOrder) -> str:
    fields = {
        "image_key": None if order.result is None else order.result.key,
        "cutout": order.cutout,
        "points": [list(point) for point in order.points],
    }
    files = {
        "image": order.image,
        "product_mask": order.product_mask,
        "keep": order.keep,
        "remove": order.remove,
    }
    return fingerprint("cut_out", fields, files)
