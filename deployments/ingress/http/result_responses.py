"""A stored result as an HTTP answer: caching and conditional requests."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

from starlette.datastructures import Headers
from starlette.responses import Response

from deployments.encoded import StoredImage

LONGEST_CACHE_S = 365 * 24 * 3600


def image_response(
    stored: StoredImage,
    request_headers: Headers,
    retention_s: float | None,
    *,
    public: bool = True,
) -> Response:
    """Answer a GET or HEAD for a result, with 304 when the caller has it already.

    Args:
        stored: The result.
        request_headers: For `If-None-Match` and `If-Modified-Since`.
        retention_s: Seconds that results are kept; no cache keeps one for longer.
        public: Shared caches may keep it; else only the caller's own.
    """
    etag = f'"{stored.etag}"'
    headers = {
        "ETag": etag,
        "Last-Modified": format_datetime(stored.modified.replace(microsecond=0), usegmt=True),
        "Cache-Control": f"{'public' if public else 'private'}, "
        f"max-age={_cache_s(stored.modified, retention_s)}, immutable",
    }
    if _has_it(stored, etag, request_headers):
        return Response(status_code=304, headers=headers)
    return Response(stored.file, media_type=stored.media_type, headers=headers)


def _cache_s(modified: datetime, retention_s: float | None) -> int:
    if retention_s is None:
        return LONGEST_CACHE_S
    age_s = (datetime.now(UTC) - modified).total_seconds()
    return max(0, min(LONGEST_CACHE_S, int(retention_s - age_s)))


def _has_it(stored: StoredImage, etag: str, headers: Headers) -> bool:
    known = headers.get("if-none-match")
    if known is not None:  # If-None-Match decides alone where it is sent (RFC 9110, 13.1.3)
        tags = [tag.strip().removeprefix("W/") for tag in known.split(",")]
        return "*" in tags or etag in tags
    since = headers.get("if-modified-since")
    if since is None:
        return False
    try:
        moment = parsedate_to_datetime(since)
    except (ValueError, OverflowError):  # a year of eleven digits raises OverflowError
        return False
    return moment.tzinfo is not None and stored.modified.replace(microsecond=0) <= moment
