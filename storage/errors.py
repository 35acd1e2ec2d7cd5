"""The errors of the storage.

They cross process boundaries. So each passes exactly its own arguments to `Exception`, and builds
its message in `__str__`; then it can be pickled. No message holds a credential or a path of the
host.
"""


class StorageError(Exception):
    """Base of all errors of the storage."""


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
        """Say what is missing."""
        return f"there is no object {self.name}"


class CorruptObject(StorageError):
    """An object is there, but its content is not what its name promises.

    Attributes:
        name: The object's name.
        reason: What is wrong, as the end of a clause that starts with the name.
    """

    def __init__(self, name: str, reason: str) -> None:
        """Take the object's name and what is wrong."""
        super().__init__(name, reason)
        self.name = name
        self.reason = reason

    def __str__(self) -> str:
        """Say what is wrong with it."""
        return f"the object {self.name} {self.reason}"


class Superseded(StorageError):
    """An object is no longer the version that was to be replaced.

    Attributes:
        name: The object's name.
    """

    def __init__(self, name: str) -> None:
        """Take the object's name."""
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        """Say that somebody else was faster."""
        return f"the object {self.name} was written meanwhile"


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
        """Say that it is refused."""
        return f"{self.name[:80]!r} is not a valid object name"


class StorageUnavailable(StorageError):
    """The store cannot serve now; the same call may succeed later.

    Its one argument is a message for the operator.
    """


class StorageFull(StorageUnavailable):
    """The store has no room until somebody makes some.

    Its one argument is a message for the operator.
    """


class StorageGone(StorageUnavailable):
    """The folder of the store is gone or refuses access until somebody mends that.

    Its one argument is a message for the operator.
    """


class StorageMisconfigured(StorageError):
    """The store cannot serve until somebody changes its settings.

    Its one argument is a message for the operator. It names what to change.
    """
