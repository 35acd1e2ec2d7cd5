"""The routes that tell how results were made: of one, and of all of an API key."""

# No postponed annotations here: FastAPI reads those of the routes below.
from collections.abc import Mapping
from typing import Annotated, Any, cast

from fastapi import FastAPI, Path
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from deployments.composition import MEDIA_TYPES
from deployments.errors import ImageNotFound, InvalidRequest
from deployments.ingress.core.job_source import file_format
from deployments.ingress.core.keys import KEY_PATTERN, is_key
from deployments.ingress.core.result_files import GONE, ResultFiles
from deployments.ingress.core.result_urls import ResultUrls
from deployments.ingress.http import openapi
from deployments.ingress.http.answers import FidelityEntry
from deployments.ingress.http.exchange import NO_STORE, base_of
from deployments.ingress.http.paging import cursor_of, page_of
from deployments.ingress.http.recipe_schemas import (
    ControlEntry,
    RecipeAnswer,
    RecipeFields,
    ResultsAnswer,
)

Key = Annotated[str, Path(json_schema_extra={"pattern": f"^{KEY_PATTERN}$"})]


def add_recipes(app: FastAPI, results: ResultFiles, urls: ResultUrls, *, listed: bool) -> None:
    """Add the routes.

    Args:
        app: The application.
        results: The use cases.
        urls: Names the images.
        listed: Whether callers may list their results, and read any recipe of theirs.
    """

    @app.head("/api/results", include_in_schema=False)
    @app.get("/api/results", **openapi.results_route())
    async def own_results(request: Request) -> Response:
        """List the results of one's API key, newest first."""
        if not listed:
            raise ImageNotFound(
                "without API keys strangers share this service, so that no results are listed"
            )
        limit, after = page_of(request)
        found, last = await results.page(request.state.api_key_name, after, limit)
        base = base_of(request)
        page = ResultsAnswer(
            results=[_answer(key, recipe, urls, base) for key, recipe in found],
            cursor=cursor_of(last),
        )
        return JSONResponse(page.model_dump(), headers=NO_STORE)

    @app.head("/generated/{key}.json", include_in_schema=False)
    @app.get("/generated/{key}.json", **openapi.recipe_route())
    async def recipe(request: Request, key: Key) -> Response:
        """Tell how an image was made."""
        if not is_key(key):
            raise ImageNotFound(GONE)
        if "width" in request.query_params:
            raise InvalidRequest("width: it is of images, and not of their recipes")
        asks = request.state.api_key_name if listed else None
        told = await results.recipe(key, asks)
        answer = _answer(key, told, urls, base_of(request))
        return JSONResponse(answer.model_dump(), headers=NO_STORE)


def _answer(key: str, recipe: Mapping[str, Any], urls: ResultUrls, base: str) -> RecipeAnswer:
    """What a stored recipe says; an older one lacks what was not there in its time."""
    kind, fidelity = file_format(recipe), recipe.get("fidelity")
    scale = recipe.get("control_scale")
    return RecipeAnswer(
        url=urls.url(key, kind, base),
        created=recipe.get("created"),
        version=recipe.get("version"),
        made_from=recipe.get("source", "upload"),
        media_type=MEDIA_TYPES[kind],
        fidelity=None if fidelity is None else FidelityEntry(**fidelity),
        scheduler=recipe.get("scheduler"),
        control=None
        if scale is None
        else ControlEntry(scale=scale, start=recipe["control_start"], end=recipe["control_end"]),
        style_image=recipe.get("style_sha256") is not None,
        fields=RecipeFields(
            prompt=recipe.get("prompt"),
            negative_prompt=recipe.get("negative_prompt") or None,
            model=recipe.get("model"),
            num_images=1,
            seed=recipe.get("seed"),
            steps=recipe.get("steps"),
            guidance_scale=recipe.get("guidance_scale"),
            strength=recipe.get("strength"),
            lora=recipe.get("lora"),
            preserve_product="false" if fidelity is None else "auto",
            background=recipe.get("background", "scene"),
            **_canvas(recipe.get("canvas") or {}),
            shadow=recipe.get("shadow"),
            shadow_strength=recipe.get("shadow_strength"),
            harmonize=recipe.get("harmonize") or None,
            output_format=kind,
            output_quality=recipe.get("quality"),
        ),
    )


def _canvas(canvas: Mapping[str, Any]) -> dict[str, Any]:
    """The request's fields of a canvas."""
    size, aspect, position = (canvas.get(name) for name in ("size", "aspect", "position"))
    if isinstance(position, list | tuple):
        position = ",".join(f"{share:.10g}" for share in cast("list[float]", position))
    return {
        "size": None if size is None else f"{size[0]}x{size[1]}",
        "aspect_ratio": None if aspect is None else _ratio(aspect),
        "padding": canvas.get("padding"),
        "product_position": position,
    }


def _ratio(aspect: float) -> str:
    """A ratio of whole numbers where small ones give it, such as 4:5."""
    for high in range(1, 100):
        wide = round(aspect * high)
        if wide and abs(wide / high - aspect) < 1e-9:
            return f"{wide}:{high}"
    return f"{aspect:.5f}:1"
