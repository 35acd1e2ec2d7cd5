"""What an object store is: its protocol, its value types and its object names.

An object's name is `folder/key.suffix`: a folder of lower-case letters, a key of 128 bits as 32
lower-case hex digits, and a suffix that decides the content type. An object that relates two others
has both their keys in its name, one after the other. A smaller copy has its width after the key and
a hyphen. Nothing else is a name, so no name can point outside the folder or the bucket.
"""

import hashlib
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from storage.errors import CorruptObject, InvalidObjectName, StorageUnavailable

_NAME = re.compile(r"[a-z]{1,32}/(?:[0-9a-f]{32}){1,2}(?:-[1-9][0-9]{0,4})?\.(?:png|jpg|webp|json)")
_PREFIX = re.compile(r"(?:[a-z]{1,32}/(?:[0-9a-f]{32})?)?")
_AFTER = re.compile(r"[0-9a-f]{0,64}~?")
_CONTENT_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "webp": "image/webp",
    "json": "application/json",
}


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object with its content.

    Attributes:
        data: The content.
        content_type: `image/png`, `image/jpeg`, `image/webp` or `application/json`, by the name's
            suffix.
        modified: When it was last written; timezone-aware, UTC.
        etag: The first 32 hex digits of the content's SHA-256.
        verified: A checksum that was written with it matches; false where it has none.
        version: What `SwappingStore.swap` takes to replace this content and no other.
    """

    data: bytes = field(repr=False)
    content_type: str
    modified: datetime
    etag: str
    verified: bool = False
    version: str = ""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One object of a listing.

    Attributes:
        name: The object's name.
        size: Bytes of content.
        modified: When it was last written; timezone-aware, UTC.
    """

    name: str
    size: int
    modified: datetime


class ImageStore(Protocol):
    """Keeps named objects. Every method blocks and may be called from any thread.

    Every method raises `StorageUnavailable` while the store cannot serve and
    `StorageMisconfigured` when it never will with its present settings.
    """

    def put(self, name: str, data: bytes, content_type: str) -> None:
        """Write an object whole or not at all, over an older one if there is one.

        When it has returned, the object survives a crash of the store. Repeating it with the same
        arguments is harmless.

        Args:
            name: The object's name.
            data: The content.
            content_type: The content type that belongs to the name's suffix.

        Raises:
            InvalidObjectName: The name is not of the accepted form.
            ValueError: The content type is not the suffix's.
        """

    def get(self, name: str) -> StoredObject:
        """Read an object.

        Args:
            name: The object's name.

        Returns:
            The object with its content.

        Raises:
            InvalidObjectName: The name is not of the accepted form.
            ObjectNotFound: There is no such object.
            CorruptObject: Something with this name is there, but it is no object, or its content is
                not what was written.
        """

    def delete(self, name: str) -> None:
        """Remove an object; one that is not there counts as removed.

        Args:
            name: The object's name.

        Raises:
            InvalidObjectName: The name is not of the accepted form.
        """

    def list(self, prefix: str, after: str = "") -> Iterator[ObjectInfo]:
        """List the objects of one folder, or all, in the order of their names.

        Anything else in the store is left out. The names are read as the iterator is, some at a
        time, so that whoever stops early or begins late reads few.

        Args:
            prefix: A folder with its slash, such as `generated/`. A key may follow: then only names
                that begin with both are listed. Empty lists all.
            after: Of a folder, where to begin: after this text in what follows the slash. It is
                the beginning of one or two keys, and with `~` at its end all that begins with it is
                passed over.

        Returns:
            An iterator. It may read from the store, so it may raise too.

        Raises:
            InvalidObjectName: The prefix or what is passed over has another form.
        """

    def check(self) -> None:
        """Check that the store can write, read, list and delete."""


class SwappingStore(ImageStore, Protocol):
    """A store in which one of several writers can be the only one to replace an object."""

    def swap(self, name: str, data: bytes, content_type: str, version: str) -> str:
        """Write an object as `put` does, if it is still the version that is to be replaced.

        Repeating it with the same arguments is harmless.

        Args:
            name: The object's name.
            data: The content.
            content_type: The content type that belongs to the name's suffix.
            version: Of the object that is replaced; empty where there must be none.

        Returns:
            The version of what was written.

        Raises:
            Superseded: There is another version, or none.
            InvalidObjectName: The name is not of the accepted form.
            ValueError: The content type is not the suffix's.
        """


def is_name(text: str) -> bool:
    """Tell whether a text is an object's name."""
    return _NAME.fullmatch(text) is not None


def check_name(name: str) -> None:
    """Accept an object's name.

    Raises:
        InvalidObjectName: The name is not of the accepted form.
    """
    if not is_name(name):
        raise InvalidObjectName(name)


def check_listing(prefix: str, after: str) -> None:
    """Accept what a listing is asked for.

    Args:
        prefix: Empty, or one folder with its slash and perhaps a key.
        after: As `ImageStore.list` has it.

    Raises:
        InvalidObjectName: One of them has another form, or there is no folder to begin in.
    """
    if not _PREFIX.fullmatch(prefix):
        raise InvalidObjectName(prefix)
    if not _AFTER.fullmatch(after) or (after and not prefix):
        raise InvalidObjectName(after)


def content_type_of(name: str) -> str:
    """Return the content type that a valid name's suffix stands for."""
    return _CONTENT_TYPES[name.rpartition(".")[2]]


def sealed(name: str, data: bytes, content_type: str) -> str:
    """Accept an object to be written, and return the checksum to write with it.

    Returns:
        The data's SHA-256 as 64 hex digits.

    Raises:
        InvalidObjectName: The name is not of the accepted form.
        ValueError: The content type is not the suffix's. Both stores answer with the suffix's type,
            so another one would be lost.
    """
    check_name(name)
    if content_type != content_type_of(name):
        raise ValueError(f"{name} holds {content_type_of(name)}, not {content_type}")
    return _checksum_of(data)


def verified(
    name: str, data: bytes, modified: datetime, checksum: str | None, version: str | None = None
) -> StoredObject:
    """Make an object of what was read, once it is seen to be what was written.

    Args:
        name: The object's name.
        data: The content.
        modified: When it was last written; timezone-aware.
        checksum: What was written with it; None where nothing was.
        version: As the medium tells it; None takes a digest of the content.

    Raises:
        CorruptObject: The checksum is another.
    """
    own = _checksum_of(data)
    if checksum is not None and checksum != own:
        raise CorruptObject(name, "is damaged: its checksum does not match")
    return StoredObject(
        data=data,
        content_type=content_type_of(name),
        modified=modified,
        etag=own[:32],
        verified=checksum is not None,
        version=own[:32] if version is None else version,
    )


def probe(store: ImageStore) -> None:
    """Write, read, list and delete one small object in the folder `probe/`.

    It needs the same permissions as serving does. So it also checks credentials that are limited to
    these four operations.

    Raises:
        StorageUnavailable: The store cannot serve, or returns other bytes than were written.
        StorageMisconfigured: The store refuses one of the operations.
    """
    # A random name, so that replicas that start together do not delete each other's probe.
    name = f"probe/{secrets.token_hex(16)}.json"
    data = name.encode()
    store.put(name, data, content_type_of(name))
    try:
        if store.get(name).data != data:
            raise StorageUnavailable("the image store returns other bytes than were written")
        next(store.list("probe/"), None)
    finally:
        store.delete(name)


def _checksum_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
