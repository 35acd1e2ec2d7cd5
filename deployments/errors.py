"""The errors that a caller can see. Each class has its HTTP status and code.

`ingress.http.problems` turns them into responses. Every class passes its own arguments to
`Exception`, so that an instance can be pickled between processes.
"""

from __future__ import annotations

from typing import ClassVar

from deployments.admission_messages import RateLeft


class ServiceError(Exception):
    """Base of every error that may be shown to a caller.

    Args:
        message: For the caller: lower case, no full stop, the field's name first. It never holds
            paths, addresses or secrets.
        retry_after_s: Seconds after which a retry makes sense; None when it does not.
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
    """The service failed; the message does not tell the cause."""


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
    """The product must be kept, and none was found."""

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


class OriginNotAllowed(ServiceError):
    """A page of an address that may not call asks whether it may."""

    status = 403
    code = "origin_not_allowed"


class Forbidden(ServiceError):
    """The API key may not do this."""

    status = 403
    code = "forbidden"


class ImageNotFound(ServiceError):
    """The named result does not exist, or no longer exists."""

    status = 404
    code = "not_found"


class ModelNotFound(ServiceError):
    """The model that a path names is not in the catalog."""

    status = 404
    code = "model_not_found"


class RequestNotFound(ServiceError):
    """The named background request does not exist, or no longer, or is another key's."""

    status = 404
    code = "not_found"


class IdempotencyConflict(ServiceError):
    """The idempotency key belongs to a request with another content."""

    status = 409
    code = "idempotency_conflict"


class BodyTooSlow(ServiceError):
    """The request's body arrives too slowly."""

    status = 408
    code = "body_too_slow"


class BodyTooLarge(ServiceError):
    """The request's body is over the limit."""

    status = 413
    code = "body_too_large"


class WrongMediaType(ServiceError):
    """The body is of another type than the path takes, or compressed."""

    status = 415
    code = "unsupported_media_type"


class Overloaded(ServiceError):
    """There is no room for the request's images."""

    status = 429
    code = "overloaded"


class RateLimited(ServiceError):
    """The API key asks for more than its rate allows.

    Args:
        message: As of every error.
        retry_after_s: As of every error.
        rates: What is left of the key's rates.
    """

    status = 429
    code = "rate_limited"

    def __init__(
        self, message: str, retry_after_s: float | None = None, rates: tuple[RateLeft, ...] = ()
    ) -> None:
        super().__init__(message, retry_after_s)
        self.args = (message, retry_after_s, rates)
        self.rates = rates


class TooManyAtOnce(ServiceError):
    """One caller sends as many bodies at the same time as may be, or the same request."""

    status = 429
    code = "too_many_at_once"


class TooManyWaiting(ServiceError):
    """As many background requests are unfinished as may be."""

    status = 429
    code = "too_many_waiting"


class Unavailable(ServiceError):
    """A model or the storage cannot serve now."""

    status = 503
    code = "unavailable"


class StorageDown(Unavailable):
    """The store cannot serve now; it may serve again soon."""


class ReplicaLost(Unavailable):
    """A replica died during the work; the work may be tried once on another replica."""


class NotReady(Unavailable):
    """What every request needs is not up yet."""

    code = "not_ready"


class DeadlineExceeded(ServiceError):
    """The request's deadline passed before all its images were there."""

    status = 504
    code = "deadline_exceeded"
