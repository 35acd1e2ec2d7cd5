"""The use cases around stored results: reading them and their recipes, and removing them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from deployments.composition import FileFormat
from deployments.encoded import StoredImage
from deployments.errors import ImageNotFound
from deployments.ingress.core.job_source import distinct, file_format, lineage
from deployments.ingress.core.keys import owner_of
from deployments.ingress.core.ports import Backends

GONE = "the image does not exist, or no longer"
NOT_YOURS = "the image does not exist, or no longer, or another API key made it"
NOT_TOLD = "the image does not exist, or no longer, or how it was made is only told to who made it"


class ResultFiles:
    """Reads and removes results.

    Args:
        backends: The other deployments.
        public_recipes: PNGs hold their recipes, for everybody to read.
    """

    def __init__(self, backends: Backends, *, public_recipes: bool) -> None:
        self._backends = backends
        self._public_recipes = public_recipes

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

    async def recipe(self, image_key: str, asks: str | None) -> Mapping[str, object]:
        """Read how a result was made.

        Whoever may read a PNG that holds its recipe may read that here too. Any other is told to
        who made it.

        Args:
            image_key: Its key.
            asks: Name of the API key that asks, empty where all callers are one; None for somebody
                of whom nothing is known.

        Returns:
            The recipe as it is stored, with what is only the operator's.

        Raises:
            ImageNotFound: It does not exist, or no longer, or is not told to this caller.
        """
        recipe = await self._backends.results.load_recipe(image_key)
        shown = self._public_recipes and file_format(recipe) == "png"
        own = asks is not None and recipe.get("owner") == owner_of(asks)
        if not (shown or own):
            raise ImageNotFound(NOT_TOLD)
        return recipe

    async def page(
        self, api_key_name: str, after: str | None, most: int
    ) -> tuple[Sequence[tuple[str, Mapping[str, object]]], str | None]:
        """Some results of an API key, newest first.

        Args:
            api_key_name: Empty without keys.
            after: The key after which to begin; None for the newest.
            most: Results, at most.

        Returns:
            Their keys and recipes, and the key after which the next ones come; None where there
            are no more.
        """
        return await self._backends.owned.of(owner_of(api_key_name), after, most)

    async def delete(self, image_key: str, named: FileFormat, api_key_name: str) -> None:
        """Remove a result, and what it was made from where no other result needs that.

        One that was made without a key, or by an older version, belongs to nobody: every key may
        remove it.

        Args:
            image_key: Its key.
            named: The format that its URL names.
            api_key_name: The caller's, empty without keys.

        Raises:
            ImageNotFound: It does not exist, or no longer, or has another format, or another API
                key made it.
        """
        recipe = await self._backends.results.load_recipe(image_key)
        if file_format(recipe) != named:
            raise ImageNotFound(GONE)
        if recipe.get("owner", owner_of("")) not in (owner_of(""), owner_of(api_key_name)):
            raise ImageNotFound(NOT_YOURS)
        await self._backends.results.delete(image_key, distinct(*lineage(recipe)))
