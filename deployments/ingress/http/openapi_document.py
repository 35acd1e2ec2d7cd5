"""The OpenAPI document: what FastAPI reads off the routes, corrected so that clients work.

Generators of clients take a file by its `format`, a type by its `type`, and a class's name by the
component's: so files are `binary`, an enum is of one type, and bodies are components.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from starlette.responses import HTMLResponse, JSONResponse

from deployments.ingress.http.callback_document import webhooks
from deployments.ingress.http.event_schemas import event_schemas
from deployments.ingress.http.exchange import base_of
from deployments.ingress.http.forms import FORM, JSON
from deployments.ingress.http.middleware.gate import CALLS, READY
from deployments.ingress.http.schemas import LEFT_OPEN

PATH = "/openapi.json"

TAGS = [
    {"name": "images", "description": "Images that are made, and their files."},
    {"name": "jobs", "description": "Requests that are answered later."},
    {"name": "cut-outs", "description": "Products that are cut out of photos."},
    {"name": "models", "description": "What the service has, and whether it can be used now."},
    {"name": "openai", "description": "The same as OpenAI's clients ask for it."},
]


def add_document(app: FastAPI, *, keys_required: bool, public_results: bool) -> None:
    """Serve the document at `PATH`, and Swagger UI at `/docs`.

    Args:
        app: The application, with all routes that the document tells of.
        keys_required: API keys are on.
        public_results: Results can be read without a key.
    """

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app, keys_required, public_results)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's own way to extend it

    @app.head(PATH, include_in_schema=False)
    @app.get(PATH, include_in_schema=False)
    async def openapi(request: Request) -> JSONResponse:
        # A generated client calls the address from which its document came.
        server = {"url": base_of(request), "description": "This service."}
        return JSONResponse({**app.openapi(), "servers": [server]})

    @app.head("/docs", include_in_schema=False)
    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        """Swagger UI from the assets in this environment; no address outside is asked."""
        return get_swagger_ui_html(
            openapi_url=PATH[1:],
            title=f"{app.title} API",
            swagger_js_url="docs/assets/swagger-ui-bundle.js",
            swagger_css_url="docs/assets/swagger-ui.css",
            swagger_favicon_url="docs/assets/favicon-32x32.png",
        )


def _document(app: FastAPI, keys_required: bool, public_results: bool) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        contact={"name": "Backdrop"},
        license_info={"name": "Apache License 2.0", "identifier": "Apache-2.0"},
        tags=TAGS,
        routes=app.routes,
    )
    schemas = document["components"]["schemas"]
    for operation in _operations(document):
        # This API never answers it.
        operation["responses"].pop("422", None)
        for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
            name = _as_component(content, schemas)
            if media_type == FORM:
                _as_form(schemas[name])
            if media_type == JSON:
                _allow_nulls(schemas[name])
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    document["components"]["schemas"] = {**event_schemas(), **schemas}
    document["webhooks"] = webhooks()
    _mark_files(document)
    if keys_required:
        _add_keys(document, public_results)
    return document


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in document["paths"].values():
        yield from path.values()


def _as_component(content: dict[str, Any], schemas: dict[str, Any]) -> str:
    """Let a body be a component, and tell the component's name."""
    schema = content["schema"]
    if "$ref" not in schema:
        schemas[schema["title"]] = schema
        content["schema"] = {"$ref": f"#/components/schemas/{schema['title']}"}
    name: str = content["schema"]["$ref"].rpartition("/")[2]
    return name


def _as_form(form: dict[str, Any]) -> None:
    """Say of a form's fields what is true: there is no null, and an empty field is left open."""
    for name, field in form["properties"].items():
        for kind in field.pop("anyOf", []):
            if kind != {"type": "null"}:
                field.update(kind)
        if name in LEFT_OPEN and name not in form.get("required", []):
            field["examples"] = [""]
            if "pattern" in field:
                field["pattern"] = f"^(?:{field['pattern'].removeprefix('^').removesuffix('$')})?$"


def _allow_nulls(body: dict[str, Any]) -> None:
    """Every field of a JSON body that may be left out may be null as well."""
    for name, field in body["properties"].items():
        kinds = field.get("anyOf", [])
        if name in body.get("required", []) or {"type": "null"} in kinds:
            continue
        if kinds:
            kinds.append({"type": "null"})
        elif "enum" in field:
            field["anyOf"] = [
                {"type": field.pop("type"), "enum": field.pop("enum")}, {"type": "null"},
            ]  # fmt: skip
        else:
            field["type"] = [field["type"], "null"]


def _mark_files(node: Any) -> None:  # noqa: ANN401 - any part of a document
    """Say of files in the older word too, which generators know, that they are bytes."""
    if isinstance(node, list):
        for each in node:
            _mark_files(each)
    if not isinstance(node, dict):
        return
    media_type = node.get("contentMediaType", "")
    if media_type == "application/octet-stream" or media_type.startswith("image/"):
        node["format"] = "binary"
    for each in node.values():
        _mark_files(each)


def _add_keys(document: dict[str, Any], public_results: bool) -> None:
    document["components"]["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    }
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if path == READY:
                continue
            if path.startswith(CALLS) or method == "delete" or not public_results:
                operation["security"] = [{"bearer": []}, {"header": []}]
