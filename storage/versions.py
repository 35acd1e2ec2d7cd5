"""Documents that are replaced version by version."""

import json
from collections.abc import Mapping

from storage.errors import ObjectNotFound, Superseded
from storage.reading import document_of
from storage.store import SwappingStore


def save_version(
    store: SwappingStore, name: str, document: Mapping[str, object], version: str
) -> str | None:
    """Replace one version of a document.

    Args:
        store: Where it is kept.
        name: The object's name.
        document: What to store, of JSON types only.
        version: Of the document that is replaced; empty where there is none yet.

    Returns:
        The version of what was stored; None where somebody else has replaced that version.
    """
    text = json.dumps(document, allow_nan=False, separators=(",", ":"))
    try:
        return store.swap(name, text.encode(), "application/json", version)
    except Superseded:
        return None


def load_version(store: SwappingStore, name: str) -> tuple[dict[str, object], str] | None:
    """Load a document and its version; None where there is none.

    Raises:
        CorruptObject: The object is not a JSON object.
    """
    try:
        stored = store.get(name)
    except ObjectNotFound:
        return None
    return document_of(name, stored.data), stored.version
