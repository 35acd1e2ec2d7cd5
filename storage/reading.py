"""Stored objects, read with a look at whether they are what their names say."""

import json

from storage.errors import CorruptObject
from storage.store import ImageStore, StoredObject, content_type_of

_KINDS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WebP"}


def load_picture(store: ImageStore, name: str) -> StoredObject:
    """Read an object that must be a picture.

    Returns:
        The picture; its data starts as files of its content type do.

    Raises:
        ObjectNotFound: There is no such object.
        CorruptObject: It is no such picture.
    """
    stored = store.get(name)
    check_picture(name, stored.data)
    return stored


def check_picture(name: str, data: bytes) -> None:
    """Accept the content of a picture.

    Args:
        name: The object's name, whose suffix says which format it has.
        data: Its content.

    Raises:
        CorruptObject: It does not start as a file of this format does.
    """
    kind = _KINDS[content_type_of(name)]
    starts = {
        "PNG": data.startswith(b"\x89PNG\r\n\x1a\n"),
        "JPEG": data.startswith(b"\xff\xd8\xff"),
        "WebP": data.startswith(b"RIFF") and data[8:12] == b"WEBP",
    }
    if not starts[kind]:
        raise CorruptObject(name, f"is not a {kind} image")


def load_document(store: ImageStore, name: str) -> dict[str, object]:
    """Read an object that must be a JSON object.

    Raises:
        ObjectNotFound: There is no such object.
        CorruptObject: It is not a JSON object.
    """
    return document_of(name, store.get(name).data)


def document_of(name: str, data: bytes) -> dict[str, object]:
    """Return the JSON object that an object of this name holds.

    Raises:
        CorruptObject: It is not a JSON object.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise CorruptObject(name, "is not JSON") from None
    if not isinstance(document, dict):
        raise CorruptObject(name, "is not a JSON object")
    return document
