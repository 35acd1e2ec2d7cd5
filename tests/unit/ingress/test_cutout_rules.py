"""POST /api/cutout: what it refuses, whose a cut-out is, and how much may be cut out."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from deployments.ingress.core import studio_places
from deployments.settings import IngressSettings, RateSettings
from tests.unit.ingress.memory import png, surface
from tests.unit.ingress.test_cutouts import NOBODY, OTHER, SHOP, cut, keyed, strokes
from tests.unit.ingress.test_problems import problem


@pytest.mark.parametrize(("fields", "code", "words"), [
    ({"cutout": "x" * 32}, "invalid_request", "cutout must be the id of a cut-out"),
    ({"cutout": NOBODY.replace("0", "A")}, "invalid_request", "cutout must be the id"),
    ({"image_url": "http://elsewhere.test/generated/x.png"}, "foreign_image_url", "image_url"),
    ({"image_url": f"/cutouts/{NOBODY}.png"}, "foreign_image_url", "image_url"),
    ({"point": "0.5"}, "invalid_request", "point must be x,y"),
    ({"point": "0.5,1.1"}, "invalid_request", "point must be x,y"),
    ({"point": "-0.5,1"}, "invalid_request", "point must be x,y"),
    ({"point": "nan,1"}, "invalid_request", "point must be x,y"),
    ({"point": ";".join(["0,1"] * 33)}, "invalid_request", "point must be x,y"),
    ({"keep": b"no picture"}, "invalid_image", "keep: "),
    ({"remove": png()}, "invalid_image", "remove must be grey"),
    ({"product_mask": strokes(scale=2)}, "invalid_request", "product_mask: the mask is 96 x 64"),
    ({"product_mask": strokes(), "keep": strokes()}, "invalid_request", "send one or the others"),
    ({"product_mask": strokes(), "point": "0,0"}, "invalid_request", "product_mask marks"),
    ({"cutout": NOBODY, "product_mask": strokes()}, "invalid_request", "product_mask marks"),
    ({"image_url": f"/generated/{NOBODY}.png", "image": png()}, "invalid_request", "one of them"),
    ({"cutout": NOBODY, "image": png()}, "invalid_request", "image, image_url and cutout each"),
    ({"prompt": "forest"}, "invalid_request", "unknown field: prompt"),
    ({"keep": "text"}, "invalid_request", "keep must be a file"),
])  # fmt: skip
async def test_what_is_wrong_is_named(api, fields, code, words):
    assert words in problem(await cut(api, **fields), 400, code)
    assert api.names() == []


async def test_a_field_given_twice_and_none_at_all(api):
    files = [("image", ("a.png", png())), ("image", ("b.png", png()))]
    assert "more than once: image" in problem(
        await api.client.post("/api/cutout", files=files), 400, "invalid_request"
    )
    for body in ({"json": {}}, {"files": {"point": (None, "0,0")}}, {"json": {"cutout": None}}):
        answer = await api.client.post("/api/cutout", **body)
        assert "image, image_url or cutout is required" in problem(answer, 400, "invalid_request")


@pytest.mark.parametrize(("content", "words"), [
    (b"{", "not valid JSON"), (b"[]", "must be"), (b'{"cutout": 4}', "cutout must be"),
    (b'{"image": "x"}', "unknown field: image"), (b'{"point": [0, 1]}', "point must be"),
])  # fmt: skip
async def test_json_is_checked_too(api, content, words):
    headers = {"Content-Type": "application/json; charset=utf-8"}
    answer = await api.client.post("/api/cutout", content=content, headers=headers)
    assert words in problem(answer, 400, "invalid_request")


async def test_other_bodies_and_too_long_ones_are_refused(tmp_path):
    limits = {"max_body_bytes": 100_000, "max_json_bytes": 2000}
    made = surface(tmp_path, IngressSettings(limits=limits))
    async with made.client as client:
        typed = await client.post("/api/cutout", content=b"x", headers={"Content-Type": "text/csv"})
        assert "multipart/form-data or application/json" in problem(
            typed, 415, "unsupported_media_type"
        )

        async def chunks():
            for _ in range(30):
                yield b" " * 100

        headers = {"Content-Type": "application/json"}
        for content in (b" " * 3000, chunks()):
            answer = await client.post("/api/cutout", content=content, headers=headers)
            assert "2000" in problem(answer, 413, "body_too_large")
        answer = await cut(made, photo=png() + b"x" * 100_000)
        assert "100000" in problem(answer, 413, "body_too_large")


async def test_a_cut_out_is_its_api_keys_own(tmp_path):
    made = keyed(tmp_path)
    async with made.client as client:
        problem(await cut(made), 401, "unauthorized")
        body = (await cut(made, headers=SHOP)).json()
        key = body["cutout"]
        # Whoever has the URL may look at it, as at a result.
        assert (await client.get(body["image_url"])).status_code == 200
        for answer in (
            await cut(made, cutout=key, headers=OTHER),
            await client.post("/api/cutout", json={"cutout": key}, headers=OTHER),
            await client.delete(body["image_url"], headers=OTHER),
        ):
            assert "cutout: there is no such" in problem(answer, 404, "not_found")
        problem(await client.delete(body["image_url"]), 401, "unauthorized")
        assert (await client.delete(body["image_url"], headers=SHOP)).status_code == 204


async def test_cut_outs_may_be_kept_private(tmp_path):
    made = keyed(tmp_path, IngressSettings(public_results=False))
    async with made.client as client:
        body = (await cut(made, headers=SHOP)).json()
        for url in (body["image_url"], body["mask_url"]):
            problem(await client.get(url), 401, "unauthorized")
            answer = await client.get(url, headers=SHOP)
            assert answer.headers["cache-control"].startswith("private, ")
            assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        document = (await client.get("/openapi.json")).json()
        assert document["paths"]["/cutouts/{key}-mask.png"]["get"]["security"]


async def test_a_cut_out_counts_for_the_rate_of_its_key(tmp_path):
    made = keyed(tmp_path, IngressSettings(rates=RateSettings(requests_per_minute=2)))
    async with made.client:
        for _ in range(2):
            assert (await cut(made, headers=SHOP)).status_code == 200
        answer = await cut(made, headers=SHOP)
        assert "requests_per_minute" in problem(answer, 429, "rate_limited")
        assert int(answer.headers["retry-after"]) > 0
        assert (await cut(made, headers=OTHER)).status_code == 200


async def test_images_per_minute_does_not_count_cut_outs(tmp_path):
    rates = RateSettings(requests_per_minute=9, images_per_minute=8)
    made = keyed(tmp_path, IngressSettings(rates=rates))
    async with made.client as client:
        for _ in range(8):
            assert (await cut(made, headers=SHOP)).status_code == 200
        client.headers.update(SHOP)
        assert (await made.generate(num_images=8)).status_code == 200


async def test_cut_outs_at_once_are_bounded(api, monkeypatch):
    monkeypatch.setattr(studio_places, "MOST_AT_ONCE", 2)
    gate, waiting = asyncio.Event(), []
    cut_out = api.studio.cut_out

    def slow(*arguments: Any) -> Any:
        async def wait() -> object:
            waiting.append(1)
            await gate.wait()
            return await cut_out(*arguments)

        return asyncio.ensure_future(wait())

    monkeypatch.setattr(api.studio, "cut_out", slow)
    running = [asyncio.create_task(cut(api)) for _ in range(2)]
    while len(waiting) < 2:
        await asyncio.sleep(0.001)
    answer = await cut(api)
    assert "no room for another cut-out" in problem(answer, 429, "overloaded")
    assert int(answer.headers["retry-after"]) > 0
    # It takes no model's place either.
    assert api.admission.held("stable-diffusion") == 0
    gate.set()
    assert [(await task).status_code for task in running] == [200, 200]
    assert (await cut(api)).status_code == 200


async def test_the_same_idempotency_key_gives_the_same_cut_out(api):
    headers = {"Idempotency-Key": "one"}
    first = await cut(api, headers=headers)
    again = await cut(api, headers=headers)
    assert again.json() == first.json()
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert len(api.studio.cuts) == 1
    other = await cut(api, point="0.5,0.5", headers=headers)
    problem(other, 409, "idempotency_conflict")
    generated = await api.client.post(
        "/api/generate",
        data={"prompt": "p", "model": "stable-diffusion"},
        files={"image": ("a.png", png())},
        headers=headers,
    )
    problem(generated, 409, "idempotency_conflict")


async def test_a_deadline_that_passes_leaves_nothing(api, monkeypatch):
    gate = asyncio.Event()

    async def wait() -> None:
        await gate.wait()

    monkeypatch.setattr(api.studio, "cut_out", lambda *_: asyncio.ensure_future(wait()))
    answer = await cut(api, headers={"X-Deadline-Seconds": "0.3"})
    problem(answer, 504, "deadline_exceeded")
    assert api.names() == []


async def test_the_document_has_both_bodies(api):
    document = (await api.client.get("/openapi.json")).json()
    operation = document["paths"]["/api/cutout"]["post"]
    content = operation["requestBody"]["content"]
    assert content["multipart/form-data"]["schema"] == {"$ref": "#/components/schemas/CutOutForm"}
    assert content["application/json"]["schema"] == {"$ref": "#/components/schemas/CutOutBody"}
    form = document["components"]["schemas"]["CutOutForm"]["properties"]
    body = document["components"]["schemas"]["CutOutBody"]["properties"]
    assert set(form) == {
        "image", "image_url", "cutout", "product_mask", "keep", "remove", "point",
    }  # fmt: skip
    assert set(body) == {"image_url", "cutout", "point"}
    assert all("description" in field for field in (*form.values(), *body.values()))
    assert all("anyOf" not in field for field in form.values())
    assert {header["name"] for header in operation["parameters"]} == {
        "Idempotency-Key", "X-Deadline-Seconds",
    }  # fmt: skip
    assert sorted(operation["responses"]) == [
        "200", "400", "401", "403", "404", "408", "409", "413", "415", "429", "500", "503", "504",
    ]  # fmt: skip
