"""The OpenAPI document before the tools that read it: a linter, and generators of clients."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from deployments.ingress.http.api_keys import KeyRing
from deployments.ingress.http.forms import JSON
from deployments.settings import IngressSettings
from deployments.webhook_settings import WebhookSettings
from tests.generated_clients import (
    OPENAPI_TS,
    SPECTRAL,
    operations,
    python_client,
    typescript_client,
)
from tests.npm import installed
from tests.unit.ingress.background import submit, until
from tests.unit.ingress.memory import png, surface
from tests.unit.ingress.receiving import Receiving


@pytest.fixture(params=["open", "keyed"])
async def document(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """As a caller gets it, without keys and with them."""
    keys = KeyRing({"shop": "s3cret"}) if request.param == "keyed" else None
    made = surface(tmp_path / "data", keys=keys)
    async with made.client:
        return (await made.client.get("/openapi.json")).json()


async def test_spectral_has_nothing_to_say(
    document: dict[str, Any], pytestconfig: pytest.Config, tmp_path: Path
) -> None:
    npm = installed(pytestconfig, *SPECTRAL)
    (tmp_path / "openapi.json").write_text(json.dumps(document), encoding="utf-8")
    (tmp_path / "rules.yaml").write_text("extends: ['spectral:oas']\n", encoding="utf-8")
    command = [
        npm / "node_modules" / ".bin" / "spectral", "lint", "openapi.json",
        "--ruleset", "rules.yaml", "--fail-severity", "hint",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


async def test_a_python_client_has_every_operation(
    document: dict[str, Any], tmp_path: Path
) -> None:
    made = python_client(document, tmp_path, "made")
    found = {path.stem for path in made.glob("api/*/*.py") if path.stem != "__init__"}
    assert found == set(operations(document))


async def test_a_typescript_client_has_every_operation(
    document: dict[str, Any], pytestconfig: pytest.Config, tmp_path: Path
) -> None:
    made = typescript_client(document, installed(pytestconfig, *OPENAPI_TS), tmp_path)
    text = (made / "sdk.gen.ts").read_text(encoding="utf-8")
    for operation in operations(document):
        first, *rest = operation.split("_")
        assert f"export const {first}{''.join(map(str.capitalize, rest))} =" in text


async def test_the_document_is_what_generators_need(document: dict[str, Any]) -> None:
    assert document["servers"] == [
        {"url": "http://shop.test", "description": "This service."},
    ]
    told = operations(document)
    assert all(name.isidentifier() and name.islower() for name in told)
    assert set(told.values()) <= {tag["name"] for tag in document["tags"]}
    files = enums = 0
    for node in nodes(document):
        if node.get("contentMediaType", JSON) != JSON:
            files += 1
            assert node["format"] == "binary", node
        if isinstance(node.get("enum"), list):
            enums += 1
            assert len({type(value) for value in node["enum"]}) == 1, node
        for name in ("example", "examples"):
            assert node.get(name) != [], node
    assert files >= 10
    assert enums >= 5


async def test_a_prefix_is_part_of_the_server(tmp_path: Path) -> None:
    made = surface(tmp_path)
    said: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        said.append(message)

    scope = {
        "type": "http", "method": "GET", "path": "/sd/openapi.json", "root_path": "/sd",
        "query_string": b"", "headers": [(b"host", b"shop.test:8443")], "scheme": "https",
        "server": ("127.0.0.1", 8000), "http_version": "1.1", "raw_path": b"/sd/openapi.json",
    }  # fmt: skip
    async with made.client:
        await made.app(scope, receive, send)
    body = b"".join(message.get("body", b"") for message in said)
    assert json.loads(body)["servers"][0]["url"] == "https://shop.test:8443/sd"


async def test_events_are_as_their_schemas_say(document: dict[str, Any], tmp_path: Path) -> None:
    made = surface(tmp_path / "more")
    async with made.client:
        answer = await made.client.post(
            "/api/generate",
            data={"prompt": "forest", "model": "stable-diffusion", "num_images": "2"},
            files={"image": ("photo.png", png())},
            headers={"Accept": "text/event-stream"},
        )
    schemas = document["components"]["schemas"]
    seen = set()
    for block in answer.text.replace("\r\n", "\n").strip().split("\n\n"):
        if block.startswith(":"):
            continue  # a comment that keeps a slow stream open
        event = dict(line.split(": ", 1) for line in block.split("\n"))
        title = f"{event['event'].capitalize()}Message"
        assert {"$ref": f"#/components/schemas/{title}"} in schemas["GenerationEvent"]["oneOf"]
        valid(event, schemas[title], document)
        data = schemas[title]["properties"]["data"]["contentSchema"]
        valid(json.loads(event["data"]), data, document)
        # An event without one of its members is told.
        assert not is_valid({}, data, document)
        seen.add(event["event"])
    assert seen == {"waiting", "progress", "image", "done"}
    stream = document["paths"]["/api/generate"]["post"]["responses"]["200"]["content"]
    assert stream["text/event-stream"]["schema"]["$ref"].endswith("/GenerationEvent")


async def test_callbacks_are_as_their_schema_says(document: dict[str, Any], tmp_path: Path) -> None:
    receiver = Receiving()
    settings = IngressSettings(webhooks=WebhookSettings(hosts=["hooks.shop.example"]))
    made = surface(tmp_path / "more", settings, receivers=receiver)
    fields = {"callback_url": "https://hooks.shop.example/", "num_images": 1}
    async with made.client, made.app.router.lifespan_context(made.app):
        assert (await submit(made, **fields)).status_code == 202
        await until(lambda: len(receiver.messages) == 2)
    for _, _, body in receiver.messages:
        told = document["webhooks"][body["type"]]["post"]["requestBody"]["content"][JSON]["schema"]
        valid(body, told, document)
        assert not is_valid({**body, "type": "job.other"}, told, document)
        assert not is_valid({**body, "data": {}}, told, document)
    assert list(document["webhooks"]) == ["job.image", "job.done", "job.failed", "job.cancelled"]


def valid(value: Any, schema: dict[str, Any], document: dict[str, Any]) -> None:
    whole = {**schema, "components": document["components"]}
    jsonschema.Draft202012Validator(whole).validate(value)


def is_valid(value: Any, schema: dict[str, Any], document: dict[str, Any]) -> bool:
    whole = {**schema, "components": document["components"]}
    return jsonschema.Draft202012Validator(whole).is_valid(value)


def nodes(node: Any) -> Any:
    """Every mapping in a document."""
    if isinstance(node, dict):
        yield node
    if isinstance(node, dict | list):
        for each in node.values() if isinstance(node, dict) else node:
            yield from nodes(each)
