"""The routes of cut-outs: cutting a product out, reading the pictures, removing them."""

# No postponed annotations here: FastAPI reads those of the routes below.
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import FastAPI, Path
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from deployments.ingress.core.cutout_records import CutOutRecord
from deployments.ingress.core.cutouts import CutOutOrder, CutOuts
from deployments.ingress.core.keys import KEY_PATTERN
from deployments.ingress.core.result_urls import ResultUrls
from deployments.ingress.core.sent_files import SentFile
from deployments.ingress.core.terms import Terms
from deployments.ingress.http import openapi
from deployments.ingress.http.cutout_schemas import Box, CutOutAnswer, CutOutBody, CutOutForm
from deployments.ingress.http.exchange import base_of
from deployments.ingress.http.forms import read_either
from deployments.ingress.http.idempotency_header import REPLAYED
from deployments.ingress.http.result_responses import image_response

Key = Annotated[str, Path(json_schema_extra={"pattern": f"^{KEY_PATTERN}$"})]


class KeyConvertor(Convertor[str]):
    """Lets a route match keys alone, so that one key's mask is not another key's picture."""

    regex = KEY_PATTERN

    def convert(self, value: str) -> str:
        """The key in a path."""
        return value

    def to_string(self, value: str) -> str:
        """A key as a path has it."""
        return value


register_url_convertor("key", KeyConvertor())


def add_cutouts(
    app: FastAPI,
    cutouts: CutOuts,
    urls: ResultUrls,
    terms: Callable[[Request], Terms],
    json_limit: int,
    retention_s: float | None,
    *,
    public: bool,
) -> None:
    """Add the routes.

    Args:
        app: The application.
        cutouts: The use cases.
        urls: Names the pictures.
        terms: On which terms the caller of a request is served.
        json_limit: Bytes of a JSON body.
        retention_s: Seconds a cut-out is kept, which bounds how long it may be cached.
        public: The pictures can be read without a key.
    """

    @app.post("/api/cutout", **openapi.cutout_route())
    async def cut_out(request: Request) -> Any:  # noqa: ANN401 - a response
        """Cut the product out of a photo, to look at it, to correct it and to make images of it."""
        base = base_of(request)

        def render(record: CutOutRecord) -> dict[str, object]:
            return _answer(record, urls, base).model_dump()

        async with read_either(request, CutOutBody, CutOutForm, json_limit) as (asked, files):
            order = _order(asked, files, urls, base)
            answer, replayed = await cutouts.cut_out(order, terms(request), render)
        if replayed:
            answer = urls.moved(answer, base)
        return JSONResponse(answer, headers={REPLAYED: "true"} if replayed else None)

    @app.head("/cutouts/{key:key}-mask.png", include_in_schema=False)
    @app.get(
        "/cutouts/{key:key}-mask.png",
        **openapi.result_route("get_cutout_mask", "cut-outs", "image/png"),
    )
    async def cutout_mask(request: Request, key: Key) -> Response:
        """Fetch the mask of a cut-out."""
        stored = await cutouts.load(key, "mask")
        return image_response(stored, request.headers, retention_s, public=public)

    @app.head("/cutouts/{key:key}.png", include_in_schema=False)
    @app.get(
        "/cutouts/{key:key}.png", **openapi.result_route("get_cutout", "cut-outs", "image/png")
    )
    async def cutout(request: Request, key: Key) -> Response:
        """Fetch a cut-out."""
        stored = await cutouts.load(key, "image")
        return image_response(stored, request.headers, retention_s, public=public)

    @app.delete("/cutouts/{key:key}.png", **openapi.removal_route("delete_cutout", "cut-outs"))
    async def delete_cutout(request: Request, key: Key) -> None:
        """Delete a cut-out, and its photo and product where nothing else needs them."""
        await cutouts.delete(key, request.state.api_key_name)


def _order(
    asked: CutOutBody | CutOutForm, files: Mapping[str, SentFile], urls: ResultUrls, base: str
) -> CutOutOrder:
    """What a body asks for.

    Raises:
        ServiceError: It names no image of ours.
    """
    result = None if asked.image_url is None else urls.name_of(asked.image_url, base)
    return CutOutOrder(
        image=files.get("image"),
        result=result,
        cutout=asked.cutout,
        product_mask=files.get("product_mask"),
        keep=files.get("keep"),
        remove=files.get("remove"),
        points=asked.points,
    )


def _answer(record: CutOutRecord, urls: ResultUrls, base: str) -> CutOutAnswer:
    image_url, mask_url = urls.cutout_urls(record.mask_key, base)
    left, top, width, height = record.box
    return CutOutAnswer(
        cutout=record.mask_key,
        image_url=image_url,
        mask_url=mask_url,
        width=record.width,
        height=record.height,
        box=Box(left=left, top=top, width=width, height=height),
        certainty=round(record.certainty, 3),
        warnings=list(record.warnings),
    )
