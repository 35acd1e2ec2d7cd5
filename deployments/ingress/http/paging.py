"""Lists in pages: how many entries, and after which."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from starlette.requests import Request

from deployments.errors import InvalidRequest
from deployments.ingress.core.keys import is_key

DEFAULT_LIMIT, MOST = 20, 100
"""Entries of one page."""

PARAMETERS: list[dict[str, Any]] = [
    {
        "name": "limit",
        "in": "query",
        "required": False,
        "schema": {"type": "integer", "minimum": 1, "maximum": MOST, "default": DEFAULT_LIMIT},
    },
    {
        "name": "cursor",
        "in": "query",
        "required": False,
        "description": "Of the answer before: the next page.",
        # 128 bits in base64url without padding.
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{21}[AQgw]$"},
    },
]
"""What a list's query may hold, for the OpenAPI document."""


def page_of(request: Request) -> tuple[int, str | None]:
    """How many entries a request asks for, and the key after which they come; None for the first.

    Raises:
        InvalidRequest: Its query says neither.
    """
    query = request.query_params
    unknown = sorted(set(query) - {"limit", "cursor"})
    if unknown:
        raise InvalidRequest(f"unknown parameter: {', '.join(unknown)}")
    for name in ("limit", "cursor"):
        if len(query.getlist(name)) > 1:
            raise InvalidRequest(f"{name}: it is given more than once")
    limit = query.get("limit", str(DEFAULT_LIMIT))
    if not re.fullmatch("[0-9]{1,3}", limit) or not 1 <= int(limit) <= MOST:
        raise InvalidRequest(f"limit must be a whole number from 1 to {MOST}")
    cursor = query.get("cursor")
    return int(limit), None if cursor is None else _key_of(cursor)


def cursor_of(key: str | None) -> str | None:
    """What `cursor` of the page is that begins after a key; None where there is none."""
    if key is None:
        return None
    return base64.urlsafe_b64encode(bytes.fromhex(key)).decode().rstrip("=")


def _key_of(cursor: str) -> str:
    try:
        key = base64.b64decode(cursor + "==", altchars=b"-_", validate=True).hex()
    except (binascii.Error, ValueError):
        key = ""
    if not is_key(key):
        raise InvalidRequest("cursor must be the cursor of an earlier page")
    return key
