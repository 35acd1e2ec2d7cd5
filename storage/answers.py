"""Answers that were given. They are kept, so that a repeated request gets the same one."""

import json
from collections.abc import Mapping

from storage.errors import CorruptObject, ObjectNotFound
from storage.names import answer_name
from storage.store import ImageStore


class Answers:
    """Answers in a store. Blocks; may be used from any thread.

    Keys are 32 lower-case hex digits; any other is an `InvalidObjectName`. Every
    method also raises what its `ImageStore` raises.
    """

    def __init__(self, store: ImageStore) -> None:
        """Use a store.

        Args:
            store: Where the objects are kept.
        """
        self._store = store

    def save(self, key: str, answer: Mapping[str, object]) -> None:
        """Store an answer, over an older one; repeating it is harmless.

        Args:
            key: The answer's key.
            answer: What to keep, of JSON types only.

        Raises:
            TypeError: The answer holds something that JSON does not have.
            ValueError: The answer holds a number that JSON does not have.
        """
        text = json.dumps(answer, allow_nan=False)
        self._store.put(answer_name(key), text.encode(), "application/json")

    def load(self, key: str) -> dict[str, object] | None:
        """Load an answer.

        Args:
            key: The answer's key.

        Returns:
            The answer as it was saved; None where there is none.

        Raises:
            CorruptObject: The object is not a JSON object.
        """
        name = answer_name(key)
        try:
            answer = json.loads(self._store.get(name).data)
        except ObjectNotFound:
            return None
        except (ValueError, RecursionError):
            raise CorruptObject(name, "is not JSON") from None
        if not isinstance(answer, dict):
            raise CorruptObject(name, "is not a JSON object")
        return answer
