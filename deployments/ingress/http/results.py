"""The routes of stored results: reading one, or a smaller copy of it, and removing it."""

# No postponed annotations here: FastAPI reads those of the routes below.
from collections.abc import Mapping
from typing import Annotated

from fastapi import FastAPI, Path
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from deployments.composition import MEDIA_TYPES, SUFFIXES, TILE_WIDTHS, FileFormat
from deployments.errors import ImageNotFound, InvalidRequest
from deployments.ingress.core.keys import KEY_PATTERN, is_key
from deployments.ingress.core.result_files import ResultFiles
from deployments.ingress.http import openapi
from deployments.ingress.http.result_responses import image_response

Key = Annotated[str, Path(json_schema_extra={"pattern": f"^{KEY_PATTERN}$"})]

WIDTHS: Mapping[str, int] = {str(width): width for width in TILE_WIDTHS}
"""What `width` may be."""


def add_results(
    app: FastAPI, results: ResultFiles, retention_s: float | None, *, public: bool
) -> None:
    """Add the routes, for each file format its own.

    Args:
        app: The application.
        results: The use cases.
        retention_s: Seconds a result is kept, which bounds how long it may be cached.
        public: Results can be read without a key.
    """
    for file_format in SUFFIXES:
        _add(app, results, retention_s, file_format, public=public)


def _add(
    app: FastAPI,
    results: ResultFiles,
    retention_s: float | None,
    file_format: FileFormat,
    *,
    public: bool,
) -> None:
    ending = SUFFIXES[file_format]
    path = f"/generated/{{key}}.{ending}"
    media_types = dict.fromkeys((MEDIA_TYPES[file_format], MEDIA_TYPES["webp"]))

    @app.head(path, include_in_schema=False)
    @app.get(
        path, **openapi.result_route(f"get_{ending}", "images", *media_types, widths=TILE_WIDTHS)
    )
    async def generated(request: Request, key: Key) -> Response:
        """Fetch a generated image, or a smaller copy of it."""
        _check(key)
        width = _width(request.query_params)
        if width is None:
            stored = await results.load(key, file_format)
        else:
            stored = await results.load_tile(key, file_format, width)
        return image_response(stored, request.headers, retention_s, public=public)

    @app.delete(path, **openapi.removal_route(f"delete_{ending}", "images", 400))
    async def delete(request: Request, key: Key) -> None:
        """Delete a generated image that one's API key made.

        The photo it was made from goes with it where no other needs that.
        """
        _check(key)
        if "width" in request.query_params:
            raise InvalidRequest("width: a smaller copy is deleted with its image, and not alone")
        await results.delete(key, file_format, request.state.api_key_name)


def _check(key: str) -> None:
    if not is_key(key):
        raise ImageNotFound("the image does not exist")


def _width(query: QueryParams) -> int | None:
    """The width that a query asks for; None where it asks for none.

    Raises:
        InvalidRequest: It is none of those that there are, or is given twice.
    """
    asked = query.getlist("width")
    if not asked:
        return None
    if len(asked) > 1 or asked[0] not in WIDTHS:
        raise InvalidRequest(
            f"width: it must be one of {', '.join(WIDTHS)}, or be left out for the image itself"
        )
    return WIDTHS[asked[0]]
