"""The ServiceError tree: every class is found by walking it, so a new one is tested at once."""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterator

import pytest

from deployments.errors import ServiceError


def tree(kind: type[ServiceError]) -> Iterator[type[ServiceError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from tree(child)


# What a part derives for itself is tested beside it: which of those there are depends on what other
# tests have imported.
EVERY = [kind for kind in tree(ServiceError) if kind.__module__ == ServiceError.__module__]

STATUSES = {
    "ServiceError": (500, "internal_error"),
    "InternalError": (500, "internal_error"),
    "InvalidRequest": (400, "invalid_request"),
    "AllWithheld": (400, "all_withheld"),
    "UnknownModel": (400, "unknown_model"),
    "InvalidImage": (400, "invalid_image"),
    "ProductNotFound": (400, "product_not_found"),
    "ForeignImage": (400, "foreign_image_url"),
    "Unauthorized": (401, "unauthorized"),
    "WrongMediaType": (415, "unsupported_media_type"),
    "Forbidden": (403, "forbidden"),
    "OriginNotAllowed": (403, "origin_not_allowed"),
    "ImageNotFound": (404, "not_found"),
    "ModelNotFound": (404, "model_not_found"),
    "RequestNotFound": (404, "not_found"),
    "IdempotencyConflict": (409, "idempotency_conflict"),
    "BodyTooSlow": (408, "body_too_slow"),
    "BodyTooLarge": (413, "body_too_large"),
    "Overloaded": (429, "overloaded"),
    "RateLimited": (429, "rate_limited"),
    "TooManyAtOnce": (429, "too_many_at_once"),
    "TooManyWaiting": (429, "too_many_waiting"),
    "Unavailable": (503, "unavailable"),
    "NotReady": (503, "not_ready"),
    "StorageDown": (503, "unavailable"),
    "ReplicaLost": (503, "unavailable"),
    "DeadlineExceeded": (504, "deadline_exceeded"),
}


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("retry_after_s", [None, 2.5])
def test_an_error_survives_pickling(kind, retry_after_s):
    error = kind("it is so", retry_after_s)
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own pickle
    assert type(copy) is kind
    assert vars(copy) == vars(error)
    assert (copy.message, copy.retry_after_s) == ("it is so", retry_after_s)
    assert str(copy) == "it is so"
    # Rebuilt from its arguments alone, as Ray does it.
    assert vars(kind(*error.args)) == vars(error)


def test_a_retry_is_not_promised_by_default():
    assert all(kind("x").retry_after_s is None for kind in EVERY)


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_every_class_has_its_status_and_code(kind):
    assert (kind.status, kind.code) == STATUSES[kind.__name__]
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", kind.code)


def test_the_classes_cover_the_statuses_of_the_contract():
    assert {kind.status for kind in EVERY} == {
        400, 401, 403, 404, 408, 409, 413, 415, 429, 500, 503, 504,
    }  # fmt: skip
    assert {kind.__name__ for kind in EVERY} == set(STATUSES)


def test_a_code_belongs_to_one_status():
    pairs = {(kind.code, kind.status) for kind in EVERY}
    assert len({code for code, _ in pairs}) == len(pairs)
