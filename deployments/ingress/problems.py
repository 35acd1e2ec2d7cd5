"""The one place that turns failures into HTTP.

Every failure, the framework's own included, becomes `{"error", "code", "request_id"}`. Nothing of
an unexpected error's text reaches the caller.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Match, Route

from deployments.errors import (
    BodyTooLarge,
    InternalError,
    InvalidRequest,
    ServiceError,
    Unauthorized,
)
from deployments.ingress.schemas import ErrorAnswer

logger = logging.getLogger(__name__)

UNEXPECTED = "something went wrong on our side"


def as_service_error(error: BaseException, request_id: str) -> ServiceError:
    """The error a caller is shown: ours as it is, any other logged and hidden.

    Args:
        error: What happened.
        request_id: For the log.
    """
    if isinstance(error, ServiceError):
        return error
    logger.error("request %s failed", request_id, exc_info=error)
    return InternalError(UNEXPECTED)


def body(error: ServiceError, request_id: str) -> dict[str, str]:
    """The JSON body of a failure."""
    answer = ErrorAnswer(error=str(error), code=error.code, request_id=request_id)
    return answer.model_dump()


def response(error: ServiceError, request_id: str) -> JSONResponse:
    """The HTTP answer to a failure."""
    headers = {}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_s)))
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(body(error, request_id), error.status, headers)


def register(app: FastAPI, max_body_bytes: int) -> None:
    """Install the handlers.

    Args:
        app: The application; its middleware has put a request id into `request.state`.
        max_body_bytes: For the sentence of a body that is too large.
    """

    async def service_error(request: Request, error: Exception) -> JSONResponse:
        request_id = request.state.request_id
        return response(as_service_error(error, request_id), request_id)

    async def validation_error(request: Request, error: Exception) -> JSONResponse:
        details = error.errors() if isinstance(error, RequestValidationError) else []
        return response(InvalidRequest(sentence(details)), request.state.request_id)

    async def framework_error(request: Request, error: Exception) -> JSONResponse:
        request_id = request.state.request_id
        status = error.status_code if isinstance(error, HTTPException) else 500
        if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return response(too_large(max_body_bytes), request_id)
        if status == HTTPStatus.BAD_REQUEST:
            # The framework's word for a multipart or JSON body it cannot read.
            return response(InvalidRequest("the body is malformed"), request_id)
        phrase = HTTPStatus(status).phrase
        answer = ErrorAnswer(
            error=f"{phrase}: {request.method} {request.url.path}",
            code=phrase.lower().replace(" ", "_"),
            request_id=request_id,
        )
        headers = error.headers if isinstance(error, HTTPException) else None
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            # The router names only the methods of the first route of a path.
            headers = {"Allow": _allowed(request)}
        return JSONResponse(answer.model_dump(), status, headers)

    app.add_exception_handler(ServiceError, service_error)
    app.add_exception_handler(RequestValidationError, validation_error)
    app.add_exception_handler(HTTPException, framework_error)


def _allowed(request: Request) -> str:
    """The methods of all routes of a request's path (RFC 9110, 10.2.1)."""
    methods: set[str] = set()
    for route in request.app.routes:
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
            methods |= route.methods or set()
    return ", ".join(sorted(methods))


def too_large(max_body_bytes: int) -> BodyTooLarge:
    """The error of a body over the limit."""
    return BodyTooLarge(f"the body is over the limit of {max_body_bytes} bytes")


def sentence(details: Sequence[Mapping[str, Any]]) -> str:
    """One sentence that names every field that is wrong, and how.

    Args:
        details: Errors as pydantic lists them.
    """
    unknown = [_field(detail) for detail in details if detail["type"] == "extra_forbidden"]
    wrong = [_wrong(detail) for detail in details if detail["type"] != "extra_forbidden"]
    parts = wrong + ([f"unknown field: {', '.join(unknown)}"] if unknown else [])
    return "; ".join(dict.fromkeys(parts)) or "the request is malformed"


def _wrong(detail: Mapping[str, Any]) -> str:
    field, kind = _field(detail) or "the body", detail["type"]
    if kind in _SENTENCES:
        return _SENTENCES[kind].format(field=field)
    if field in ("image", "product_mask"):
        return f"{field} must be a file"
    message = str(detail["msg"])
    if message.startswith("String should have "):
        return f"{field} must have {message.removeprefix('String should have ')}"
    return f"{field} must be {message.removeprefix('Input should be ')}"


_SENTENCES = {
    "missing": "{field} is required",
    "json_invalid": "the body is not valid JSON",
    "string_pattern_mismatch": "{field} must not be blank",
    "string_unicode": "{field} must be valid Unicode text",
}


def _field(detail: Mapping[str, Any]) -> str:
    return ".".join(str(part) for part in detail["loc"][1:])
