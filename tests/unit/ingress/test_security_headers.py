"""Headers that confine browsers, on every kind of answer."""

from __future__ import annotations

import pytest

from deployments.ingress.http.api_keys import KeyRing
from deployments.settings import CorsSettings, IngressSettings
from tests.unit.ingress.memory import surface

DATA = "default-src 'none'"


async def test_every_answer_is_confined(api):
    image = (await api.generate(num_images=1)).json()["images"][0]
    answers = [
        await api.client.get("/api/models"),
        await api.client.get(image),
        await api.client.head(image),
        await api.client.get(image, headers={"If-None-Match": "*"}),
        await api.client.delete(image),
        await api.client.get("/nothing"),
        await api.client.post("/api/generate"),
        await api.client.post("/api/generate", content=b"x", headers={"content-length": "9" * 12}),
        await api.client.get("/openapi.json"),
        await api.client.get("/docs"),
        await api.client.get("/docs/assets/swagger-ui.css"),
        await api.client.get("/docs/assets/nothing"),
        await api.client.get("/"),
        await api.client.options(
            "/api/generate",
            headers={"Origin": "http://localhost:3000", "Access-Control-Request-Method": "POST"},
        ),
        await api.client.options(
            "/api/generate",
            headers={"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"},
        ),
    ]
    assert [answer.status_code for answer in answers[:8]] == [
        200,
        200,
        200,
        304,
        204,
        404,
        415,
        413,
    ]
    for answer in answers:
        headers = answer.headers
        assert headers["x-content-type-options"] == "nosniff", answer
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["cross-origin-resource-policy"] in ("same-origin", "cross-origin")
        page = headers.get("content-type", "").startswith("text/html")
        assert headers["content-security-policy"].startswith(DATA) is not page or page
        for name in ("content-security-policy", "cache-control", "x-content-type-options"):
            assert len(headers.get_list(name)) <= 1


async def test_a_failure_while_a_model_works_is_confined_too(api):
    api.models.failures.append(RuntimeError("secret"))
    answer = await api.generate(num_images=1)
    assert answer.status_code == 500
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-security-policy"].startswith(DATA)


async def test_api_answers_and_failures_are_not_cached_and_results_are(api):
    made = await api.generate(num_images=1)
    image = made.json()["images"][0]
    assert made.headers["cache-control"] == "no-store"
    assert (await api.client.get("/api/models")).headers["cache-control"] == "no-store"
    assert (await api.client.get("/nothing")).headers["cache-control"] == "no-store"
    assert (await api.client.get(image)).headers["cache-control"].startswith("public")


async def test_pages_of_shops_may_show_results_and_embed_nothing_else(api):
    image = (await api.generate(num_images=1)).json()["images"][0]
    policy = "cross-origin-resource-policy"
    assert (await api.client.get(image)).headers[policy] == "cross-origin"
    assert (await api.client.get("/api/models")).headers[policy] == "same-origin"
    assert (await api.client.get("/docs")).headers[policy] == "same-origin"


async def test_the_docs_may_load_what_they_are_made_of(api):
    answer = await api.client.get("/docs")
    policy = answer.headers["content-security-policy"]
    for directive in ("default-src", "script-src", "style-src", "connect-src"):
        assert directive not in policy


async def test_a_policy_that_is_there_is_kept(api):
    answer = await api.client.get("/")
    own = answer.headers["content-security-policy"]
    if answer.headers.get("content-type", "").startswith("text/html"):
        assert "script-src 'self'" in own
    assert own.count("frame-ancestors") == 1


async def test_cors_headers_come_through(tmp_path):
    settings = IngressSettings(cors=CorsSettings(origins=("https://shop.example",)))
    made = surface(tmp_path, settings, keys=KeyRing({"shop": "k"}))
    async with made.client as client:
        answer = await client.get("/api/models", headers={"Origin": "https://shop.example"})
    assert answer.status_code == 401
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"


@pytest.mark.parametrize("public", [True, False])
async def test_results_may_be_kept_private(tmp_path, public):
    settings = IngressSettings(public_results=public)
    made = surface(tmp_path, settings, keys=KeyRing({"shop": "k"}))
    made.client.headers["X-API-Key"] = "k"
    async with made.client as client:
        image = (await made.generate(num_images=1)).json()["images"][0]
        with_key = await client.get(image)
        del client.headers["X-API-Key"]
        without = await client.get(image)
        head = await client.head(image)
        document = (await client.get("/openapi.json")).json()
    route = document["paths"]["/generated/{key}.png"]["get"]
    assert with_key.status_code == 200
    if public:
        assert without.status_code == head.status_code == 200
        assert with_key.headers["cache-control"].startswith("public, max-age=")
        assert "security" not in route
    else:
        assert without.status_code == head.status_code == 401
        assert without.json()["code"] == "unauthorized"
        assert with_key.headers["cache-control"].startswith("private, max-age=")
        assert with_key.headers["cross-origin-resource-policy"] == "same-origin"
        assert route["security"]
