"""The errors a caller can meet, each of which owns its HTTP status and code.

`ingress.http.problems` turns them into responses. Every class passes its own arguments to
`Exception`, so that an instance survives pickling between processes.
"""

from __future__ import annotations

from typing import ClassVar


class ServiceError(Exception):
    """Base of every error that may be shown to a caller.

    Args:
        message: One sentence for the caller. It never holds paths, addresses or secrets.
        retry_after_s: Seconds after which a retry makes sense, or None when it does not.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message, retry_after_s)
        self.message = message
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return self.message


class InternalError(ServiceError):
    """Our fault; the message says nothing about the cause."""


class InvalidRequest(ServiceError):
    """A field is missing, malformed, unknown or out of range."""

    status = 400
    code = "invalid_request"


class UnknownModel(InvalidRequest):
    """The model is not in the catalog."""

    code = "unknown_model"


class InvalidImage(InvalidRequest):
    """The upload is not an image this service accepts."""

    code = "invalid_image"


class ProductNotFound(InvalidRequest):
    """The product shall be kept, and none was found."""

    code = "product_not_found"


class AllWithheld(InvalidRequest):
    """The safety filter lets none of the request's images through."""

    code = "all_withheld"


class ForeignImage(InvalidRequest):
    """An image_url that is not one of this service's results."""

    code = "foreign_image_url"


class Unauthorized(ServiceError):
    """A key is required, and it is missing or wrong."""

    status = 401
    code = "unauthorized"


class ImageNotFound(ServiceError):
    """The named result does not exist, or no longer."""

    status = 404
    code = "not_found"


class IdempotencyConflict(ServiceError):
    """The idempotency key belongs to a request that asks for something else."""

    status = 409
    code = "idempotency_conflict"


class BodyTooLarge(ServiceError):
    """The request's body is over the limit."""

    status = 413
    code = "body_too_large"


class Overloaded(ServiceError):
    """There is no room for the request's images."""

    status = 429
    code = "overloaded"


class RateLimited(ServiceError):
    """The API key asks for more than its rate allows."""

    status = 429
    code = "rate_limited"


class Unavailable(ServiceError):
    """A model or the storage cannot serve now."""

    status = 503
    code = "unavailable"


class StorageDown(Unavailable):
    """The store cannot serve for the moment, and may the next."""


class ReplicaLost(Unavailable):
    """A replica died while it held the work, which may be tried once on another."""


class DeadlineExceeded(ServiceError):
    """The request's deadline passed before all its images were there."""

    status = 504
    code = "deadline_exceeded"
