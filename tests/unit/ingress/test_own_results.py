"""A key removes only what it made, and a repeated answer names the host of who asks for it."""

from __future__ import annotations

import json

import pytest

from deployments.ingress.core.result_urls import ResultUrls
from deployments.ingress.http.api_keys import KeyRing
from deployments.settings import IngressSettings
from tests.unit.ingress.memory import key_of, png, surface

KEYS = {"one": "secret-1", "two": "secret-2"}
ONE, TWO = {"X-API-Key": "secret-1"}, {"X-API-Key": "secret-2"}
KEY = {"Idempotency-Key": "order-1"}


async def made(api, headers: dict[str, str], path: str = "/api/generate", **client: str) -> dict:
    data = {"prompt": "Perfume backdrop", "model": "stable-diffusion", "num_images": "2"}
    files = {"image": ("photo.png", png(), "image/png")}
    form = {"files": files} if path == "/api/cutout" else {"files": files, "data": data}
    url = f"{client.get('base', 'http://shop.example')}{path}"
    answer = await api.client.post(url, headers=headers, **form)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_key_removes_only_what_it_made(tmp_path):
    api = surface(tmp_path, keys=KeyRing(KEYS))
    url = (await made(api, ONE))["images"][0]
    refused = await api.client.delete(url, headers=TWO)
    assert refused.status_code == 404
    assert "another API key made it" in refused.json()["error"]
    assert (await api.client.get(url)).status_code == 200
    assert (await api.client.delete(url, headers=ONE)).status_code == 204
    assert (await api.client.get(url)).status_code == 404


@pytest.mark.parametrize("owner", ["of no key", "left out"])
async def test_what_belongs_to_no_key_may_be_removed_by_any(tmp_path, owner):
    without = surface(tmp_path)
    url = (await made(without, {}))["images"][0]
    if owner == "left out":
        name = f"generated/{key_of(url)}.json"
        recipe = json.loads(without.store.get(name).data)
        del recipe["owner"]
        without.store.put(name, json.dumps(recipe).encode(), "application/json")
    api = surface(tmp_path, keys=KeyRing(KEYS))
    assert (await api.client.delete(url, headers=TWO)).status_code == 204


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
async def test_a_repeated_answer_names_the_host_of_who_asks(tmp_path, accept):
    api = surface(tmp_path)
    first = await made(api, KEY)
    data = {"prompt": "Perfume backdrop", "model": "stable-diffusion", "num_images": "2"}
    again = await api.client.post(
        "https://other.example:8443/api/generate",
        headers={**KEY, "Accept": accept},
        data=data,
        files={"image": ("photo.png", png(), "image/png")},
    )
    assert again.headers["idempotent-replayed"] == "true"
    assert "shop.example" not in again.text
    moved = [
        url.replace("http://shop.example", "https://other.example:8443") for url in first["images"]
    ]
    for url in moved:
        assert url in again.text
    if accept == "application/json":
        assert again.json() == {**first, "images": moved}


async def test_a_repeated_cut_out_names_it_too(tmp_path):
    api = surface(tmp_path)
    first = await made(api, KEY, "/api/cutout")
    again = await made(api, KEY, "/api/cutout", base="http://other.example")
    assert again["cutout"] == first["cutout"]
    for field in ("image_url", "mask_url"):
        assert again[field] == first[field].replace("shop.example", "other.example")


async def test_what_a_caller_wrote_stays_as_it_is(tmp_path):
    url = f"http://shop.example/generated/{'a' * 32}.png"
    told = {"prompt_used": url, "images": [url, "no URL", 7], "deep": [{"url": url, "id": url}]}
    other = url.replace("shop", "other")
    assert ResultUrls(None).moved(told, "http://other.example") == {
        "prompt_used": url, "images": [other, "no URL", 7], "deep": [{"url": other, "id": url}],
    }  # fmt: skip
    public = ResultUrls("https://cdn.example/x").moved({"url": url}, "http://other.example")
    assert public == {"url": f"https://cdn.example/x/generated/{'a' * 32}.png"}


async def test_a_public_address_is_kept(tmp_path):
    api = surface(tmp_path, IngressSettings(public_base_url="https://cdn.example"))
    first = await made(api, KEY)
    assert await made(api, KEY, base="http://other.example") == first
