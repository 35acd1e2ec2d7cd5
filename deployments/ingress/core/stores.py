"""What the use cases need of the storage, as plain async calls; see `ports`."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Literal, Protocol

from deployments.composition import FileFormat
from deployments.encoded import EncodedCutOut, EncodedSources, StoredImage
from deployments.ingress.core.background.names import Name


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
