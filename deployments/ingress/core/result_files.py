"""The use cases around stored results: reading one, or a smaller copy of it, and removing it."""

from __future__ import annotations

from deployments.composition import FileFormat
from deployments.errors import ImageNotFound
from deployments.ingress.core.job_source import distinct, file_format, lineage
from deployments.ingress.core.ports import Backends
from deployments.jobs import StoredImage

GONE = "the image does not exist, or no longer"


class ResultFiles:
    """Reads and removes results.

    Args:
        backends: The other deployments.
    """

    def __init__(self, backends: Backends) -> None:
        self._backends = backends

    async def load(self, image_key: str, named: FileFormat) -> StoredImage:
        """Read a result.

        Args:
            image_key: Its key.
            named: The format that its URL names.

        Raises:
            ImageNotFound: It does not exist, or no longer, or has another format.
        """
        return await self._backends.results.load_image(image_key, named)

    async def load_tile(self, image_key: str, named: FileFormat, width: int) -> StoredImage:
        """Read a smaller copy of a result, which is made when it is first asked for.

        Two who ask first make it twice, and the second is stored over the first.

        Args:
            image_key: The result's key.
            named: The format that its URL names.
            width: In pixels; a result that is no wider keeps its size.

        Returns:
            A WebP.

        Raises:
            ImageNotFound: The result does not exist, or no longer, or has another format.
        """
        backends = self._backends
        tile = await backends.tiles.load(image_key, named, width)
        if tile is None:
            image = await backends.results.load_image(image_key, named)
            made = backends.cutter.make_tile(image.file, width)
            await backends.tiles.save(image_key, width, made)
            tile = await backends.tiles.load(image_key, named, width)
        if tile is None:
            raise ImageNotFound(GONE)
        return tile

    async def delete(self, image_key: str, named: FileFormat) -> None:
        """Remove a result, and what it was made from where no other result needs that.

        Args:
            image_key: Its key.
            named: The format that its URL names.

        Raises:
            ImageNotFound: It does not exist, or no longer, or has another format.
        """
        recipe = await self._backends.results.load_recipe(image_key)
        if file_format(recipe) != named:
            raise ImageNotFound(GONE)
        await self._backends.results.delete(image_key, distinct(*lineage(recipe)))
