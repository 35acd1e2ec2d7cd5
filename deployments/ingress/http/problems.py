"""The one place that turns failures into HTTP.

Every failure becomes `{"error", "code", "request_id"}`, also one of the framework. The text of an
unexpected error never reaches the caller.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send

from deployments.errors import (
    BodyTooLarge,
    InternalError,
    InvalidRequest,
    ServiceError,
    Unauthorized,
)
from deployments.ingress.http import look_fields
from deployments.ingress.http.answers import ErrorAnswer
from deployments.ingress.http.openai import failures as openai

logger = logging.getLogger(__name__)

UNEXPECTED = "something went wrong on our side"


class ProblemResponse(JSONResponse):
    """The answer to a failure. It leaves its status and code in the request's state.

    Args:
        content: Its body.
        status: HTTP status.
        headers: Further headers.
    """

    def __init__(
        self, content: Mapping[str, Any], status: int, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(content, status, headers)
        self._content = content

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Leave status and code for the request's outcome, and send the answer."""
        state = scope.setdefault("state", {})
        state["problem"] = (self.status_code, self._content["code"])
        if openai.covers(route_path(scope)):
            names = state.get("field_names", openai.NAMES)
            self.body = self.render(openai.failure(self._content, self.status_code, names))
            self.headers["Content-Length"] = str(len(self.body))
        await super().__call__(scope, receive, send)


def as_service_error(error: BaseException, request_id: str) -> ServiceError:
    """The error that the caller is shown: ours as it is; any other is logged and hidden.

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


def response(
    error: ServiceError, request_id: str, more: Mapping[str, object] = MappingProxyType({})
) -> JSONResponse:
    """The HTTP answer to a failure.

    Args:
        error: What happened.
        request_id: For the body.
        more: Further members of the body.
    """
    headers = {}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_s)))
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = "Bearer"
    return ProblemResponse({**body(error, request_id), **more}, error.status, headers)


def register(app: FastAPI, body_limits: Mapping[str, int]) -> None:
    """Install the handlers.

    Args:
        app: The application; its middleware has put a request id into `request.state`.
        body_limits: Bytes of a body by path, for the error sentence.
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
            limit = body_limit(body_limits, route_path(request.scope))
            return response(too_large(limit), request_id)
        if isinstance(error.__cause__, InvalidRequest):
            # Raised while the framework read the body, which hides it behind its own.
            return response(error.__cause__, request_id)
        if status == HTTPStatus.BAD_REQUEST:
            # The framework's word for a multipart or JSON body it cannot read.
            detail = error.detail if isinstance(error, HTTPException) else ""
            return response(InvalidRequest(f"the body cannot be read: {detail}"), request_id)
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
        return ProblemResponse(answer.model_dump(), status, headers)

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


def route_path(scope: Scope) -> str:
    """The path as routes see it: without the prefix the application is mounted at."""
    path: str = scope["path"]
    prefix: str = scope.get("root_path", "")
    inside = path.startswith(f"{prefix}/")
    return path[len(prefix) :] if inside else path


def body_limit(body_limits: Mapping[str, int], path: str) -> int:
    """The limit of a body in bytes; a path that takes none has the largest limit of the others."""
    return body_limits.get(path, max(body_limits.values()))


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
    if kind == "string_pattern_mismatch" and field in _FORMS:
        return f"{field} must be {_FORMS[field]}"
    if kind in _SENTENCES:
        return _SENTENCES[kind].format(field=field)
    if isinstance(detail.get("input"), UploadFile):
        return f"{field} came as a file: send its text as a field of the form"
    if field in (
        "image",
        "product_mask",
        "background_image",
        "style_image",
        "keep",
        "remove",
    ):
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


_FORMS = {
    "cutout": "the id of a cut-out, 32 hexadecimal digits in lower case",
    "point": "x,y with shares of width and height from 0 to 1, or several joined by ;",
    **look_fields.FORMS,
}
"""What fields are that have a form of their own."""


def _field(detail: Mapping[str, Any]) -> str:
    return ".".join(str(part) for part in detail["loc"][1:])
