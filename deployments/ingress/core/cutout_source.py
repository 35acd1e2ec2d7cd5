"""A request's images made with a cut-out: its product is kept as it is, and nothing is searched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from deployments.errors import InvalidRequest
from deployments.ingress.core.cutout_records import CutOutRecord, digest_of, usable
from deployments.ingress.core.decoder import Decoder
from deployments.ingress.core.job_source import (
    Origin,
    file_format,
    first_photo,
    lineage,
    placement,
    recipe_of,
)
from deployments.ingress.core.ports import Backends
from deployments.ingress.core.result_urls import ResultName
from deployments.jobs import Layout, Photo, Preserve


def check_cutout(cutout: str | None, preserve: Preserve, *, marked: bool = False) -> None:
    """Refuse what contradicts a cut-out.

    Args:
        cutout: A cut-out's key; None without one.
        preserve: Whether the product is kept.
        marked: Whether a product_mask was sent.

    Raises:
        InvalidRequest: Something does.
    """
    if cutout is not None and marked:
        raise InvalidRequest("cutout and product_mask both say what is kept: send one of them")
    if cutout is not None and preserve == "false":
        raise InvalidRequest(
            "cutout is what is kept, and preserve_product=false keeps nothing: send one of them"
        )


class CutOutSource:
    """A stored cut-out, with its photo or with a result of the same conversation.

    Args:
        backends: The other deployments.
        decoder: Turns files into pixels.
        cutout: The cut-out's key.
        api_key_name: The caller's.
        photo: The photo where it was sent again; None without.
        result: The result that is varied; None starts from the photo.
        layout: What the photo is made ready for.
        results: The image keys of the request.
    """

    def __init__(
        self,
        backends: Backends,
        decoder: Decoder,
        cutout: str,
        api_key_name: str,
        *,
        photo: Photo | None = None,
        result: ResultName | None = None,
        layout: Layout,
        results: Sequence[str],
    ) -> None:
        self._backends = backends
        self._decoder = decoder
        self._cutout = cutout
        self._api_key_name = api_key_name
        self._photo = photo
        self._result = result
        self._layout = layout
        self._results = results
        self.referred: list[str] = []

    async def open(self) -> Origin:
        """Get the photo or the result, and the cut-out.

        Raises:
            ImageNotFound: The cut-out or the result does not exist, or no longer, or the cut-out is
                another API key's.
            InvalidRequest: The cut-out is of another photo.
            InternalError: What is stored is damaged.
        """
        backends, result = self._backends, self._result
        record = await usable(backends, self._cutout, self._api_key_name)
        await self._check_photo(record)
        recipe = None if result is None else await recipe_of(backends, result)
        layout = self._laid_out(record, recipe)
        self.referred += record.sources
        # Marks first; then it is seen whether the cut-out, and the result, are still there.
        await backends.cutouts.borrow(self._cutout, record.sources, self._results)
        photo = None
        if layout.reads_photo:
            photo = backends.studio.lend(await self._start(record, recipe))
        png = backends.sources.load_product(record.mask_key)
        first = None
        if layout.varied:
            first = await first_photo(backends, self._decoder, record.photo_key, layout)
        opened = backends.studio.open_result(photo, png, layout, first)
        await opened
        return Origin(
            photo=photo,
            opened=opened,
            kind="upload" if result is None else "result",
            key=record.photo_key if result is None else result.key,
            photo_key=record.photo_key,
            mask_key=record.mask_key,
            found=False,
            warnings=(await opened).warnings,
            photo_sha256=record.photo_sha256,
            photo_opaque=record.photo_opaque,
            style_sha256=layout.style_sha256,
        )

    async def keep(self, origin: Origin) -> None:
        """Do nothing: all is stored."""

    async def _check_photo(self, record: CutOutRecord) -> None:
        """See that the cut-out is of the photo that was sent again."""
        if self._photo is not None and await digest_of(self._photo) != record.photo_digest:
            raise InvalidRequest(
                "image: it is not the picture that the cutout was cut out of; send that one, or "
                "leave image out"
            )

    def _laid_out(self, record: CutOutRecord, recipe: Mapping[str, object] | None) -> Layout:
        """The layout, with the place of the photo in the result that is varied."""
        layout = replace(self._layout, opaque_photo=record.photo_opaque)
        if recipe is None:
            return layout
        if lineage(recipe)[0] != record.photo_key:
            raise InvalidRequest(
                "cutout: it was cut out of another photo than the one that the conversation of "
                "image_url began with"
            )
        return replace(layout, placement=placement(recipe), varied=True)

    async def _start(self, record: CutOutRecord, recipe: Mapping[str, object] | None) -> Photo:
        """The picture that the model starts from."""
        if self._photo is not None:
            return self._photo
        if self._result is None or recipe is None:
            return await self._decoder.stored(
                await self._backends.sources.load_photo(record.photo_key)
            )
        stored = await self._backends.results.load_image(self._result.key, file_format(recipe))
        return await self._decoder.stored(stored.file)
