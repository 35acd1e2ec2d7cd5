"""The StorageError tree: everything that storage raises on purpose.

Errors cross process boundaries, so each passes exactly its own arguments to
`Exception` and builds its sentence in `__str__`: they pickle without help.
No message holds a credential or a path of the host.
"""


class StorageError(Exception):
    """Base of every error that storage raises on purpose."""


class ObjectNotFound(StorageError):
    """The store has no object of this name.

    Attributes:
        name: The object's name, such as `generated/<key>.png`.
    """

    def __init__(self, name: str) -> None:
        """Take the object's name."""
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        """Say what is missing, in one sentence."""
        return f"There is no object {self.name}."


class CorruptObject(StorageError):
    """An object is there, but its content is not what its name promises.

    Attributes:
        name: The object's name.
        reason: What is wrong, as the end of a sentence that starts with the name.
    """

    def __init__(self, name: str, reason: str) -> None:
        """Take the object's name and what is wrong."""
        super().__init__(name, reason)
        self.name = name
        self.reason = reason

    def __str__(self) -> str:
        """Say what is wrong with it, in one sentence."""
        return f"The object {self.name} {self.reason}."


class InvalidObjectName(StorageError):
    """A name, key or prefix is not of the form that the stores accept.

    Attributes:
        name: The refused text; the message shows at most 80 characters of it.
    """

    def __init__(self, name: str) -> None:
        """Take the refused text."""
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        """Say that it is refused, in one sentence."""
        return f"{self.name[:80]!r} is not a valid object name."


class StorageUnavailable(StorageError):
    """The store cannot serve now; the same call may succeed later.

    Its one argument is a sentence for the operator.
    """


class StorageFull(StorageUnavailable):
    """The store has no room until somebody makes some.

    Its one argument is a sentence for the operator.
    """


class StorageMisconfigured(StorageError):
    """The store cannot serve until somebody changes its settings.

    Its one argument is a sentence for the operator that names what to change.
    """
