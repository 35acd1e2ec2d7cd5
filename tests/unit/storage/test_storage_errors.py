import inspect
import pickle

import pytest

from storage import errors
from storage.errors import (
    CorruptObject,
    InvalidObjectName,
    ObjectNotFound,
    StorageError,
    StorageFull,
    StorageGone,
    StorageMisconfigured,
    StorageUnavailable,
    Superseded,
)

NAME = f"generated/{1:032x}.png"
EXAMPLES = [
    ObjectNotFound(NAME),
    CorruptObject(NAME, "is not a PNG image"),
    Superseded(NAME),
    InvalidObjectName("../x"),
    StorageUnavailable("the disk fails"),
    StorageFull("the disk is full"),
    StorageGone("the folder is gone"),
    StorageMisconfigured("bucket: it does not exist"),
]


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_an_error_survives_pickling(error: StorageError) -> None:
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own pickle
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert copy.args == error.args
    assert vars(copy) == vars(error)
    # Rebuilt from its arguments alone, as Ray does it.
    assert str(type(error)(*error.args)) == str(error)


def test_every_class_has_an_example() -> None:
    classes = {kind for _, kind in inspect.getmembers(errors, inspect.isclass)}
    assert classes - {StorageError} == {type(error) for error in EXAMPLES}
    assert all(issubclass(kind, StorageError) for kind in classes)


def test_sentences() -> None:
    assert str(EXAMPLES[0]) == f"there is no object {NAME}"
    assert str(EXAMPLES[1]) == f"the object {NAME} is not a PNG image"
    assert str(EXAMPLES[3]) == "'../x' is not a valid object name"
    assert len(str(InvalidObjectName("x" * 10_000))) < 200
