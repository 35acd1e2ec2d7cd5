"""The REST contract, in memory: shapes, defaults, events, results."""

import asyncio
import json
import re
from email.utils import parsedate_to_datetime
from io import BytesIO

import pytest
from PIL import Image

from deployments.errors import Unavailable
from deployments.jobs import GenerationSettings
from deployments.settings import IngressSettings
from tests.unit.ingress.memory import CATALOG, png, surface

URL = re.compile(r"http://shop\.test/generated/[0-9a-f]{32}\.png")


def events(text: str) -> list[tuple[str, dict]]:
    blocks = [block for block in text.replace("\r\n", "\n").split("\n\n") if block.strip()]
    parsed = []
    for block in blocks:
        lines = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
        parsed.append((lines["event"], json.loads(lines["data"])))
    return parsed


async def test_generate_answers_the_contract(api):
    answer = await api.generate(num_images=4, prompt="Add AI human", seed=7)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert list(body) == [
        "images", "model_used", "prompt_used", "seeds", "fidelity", "details", "warnings",
        "withheld",
    ]  # fmt: skip
    assert len(set(body["images"])) == 4
    assert all(URL.fullmatch(url) for url in body["images"])
    assert body["model_used"] == "stable-diffusion"
    assert body["prompt_used"] == "Add AI human"
    assert body["seeds"] == [7, 8, 9, 10]
    (told,) = body["warnings"]
    assert told.startswith('prompt: this small demo model draws no people ("human");')


async def test_four_images_by_default_with_the_models_defaults(api):
    body = (await api.generate()).json()
    assert len(body["images"]) == 4
    model = CATALOG[0]
    for job in api.models.jobs:
        asked = job.settings
        assert (asked.steps, asked.guidance_scale, asked.strength) == (
            model.steps,
            model.guidance_scale,
            model.strength,
        )
    assert body["seeds"] == sorted(job.settings.seed for job in api.models.jobs)


async def test_optional_fields_reach_the_job(api):
    answer = await api.generate(
        num_images=1, negative_prompt="people", seed=5, steps=9, guidance_scale=2.5, strength=0.5
    )
    assert answer.status_code == 200
    (job,) = api.models.jobs
    assert job.settings == GenerationSettings("Perfume backdrop", "people", 5, 9, 2.5, 0.5)


async def test_seeds_wrap_at_their_limit(api):
    body = (await api.generate(num_images=2, seed=2**32 - 1)).json()
    assert body["seeds"] == [2**32 - 1, 0]


async def test_models_lists_the_catalog_exactly(api):
    answer = await api.client.get("/api/models")
    assert answer.status_code == 200
    listed = answer.json()
    assert [(model["id"], model["name"]) for model in listed["models"]] == [
        ("stable-diffusion", "Stable Diffusion"),
        ("controlnet", "ControlNet"),
    ]


async def test_result_is_a_png_with_the_public_recipe(api):
    url = (await api.generate(num_images=1, seed=99, prompt="Grün 🌿")).json()["images"][0]
    answer = await api.client.get(url)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/png"
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert answer.headers["x-content-type-options"] == "nosniff"
    image = Image.open(BytesIO(answer.content))
    image.load()
    assert image.getpixel((0, 0)) == (99, 99, 99)
    values = " ".join(str(value) for value in image.text.values())
    assert "Grün 🌿" in values
    assert "99" in values
    assert api.models.jobs[0].key not in values


async def test_recipe_is_stored_beside_the_image(api):
    fields = {"seed": 3, "negative_prompt": "text", "model": "controlnet"}
    url = (await api.generate(num_images=1, **fields)).json()["images"][0]
    key = url.rsplit("/", 1)[1].removesuffix(".png")
    recipe = api.results.records.load_recipe(key)
    assert recipe["seed"] == 3
    assert recipe["model"] == "controlnet"
    assert recipe["weights"] == "scripted@1"
    assert recipe["negative_prompt"] == "text"
    assert recipe["scheduler"] == "dpmpp_2m"
    control = {name: recipe[f"control_{name}"] for name in ("scale", "start", "end")}
    assert control == {"scale": 0.5, "start": 0.1, "end": 0.9}  # as the model told
    assert recipe["source"] == "upload"
    source = api.sources.lineage.load_source(recipe["source_key"])
    assert Image.open(BytesIO(source.data)).getpixel((0, 0)) == (200, 30, 30)


async def test_variation_starts_from_the_result_and_remembers_the_photo(api):
    first = (await api.generate(num_images=1, seed=50)).json()["images"][0]
    answer = await api.client.post(
        "/api/variation",
        json={
            "image_url": first,
            "prompt": "Change background to forest",
            "model": "controlnet",
            "num_images": 2,
        },
    )
    assert answer.status_code == 200
    body = answer.json()
    assert body["model_used"] == "controlnet"
    assert len(body["images"]) == 2
    keys = [url.rsplit("/", 1)[1].removesuffix(".png") for url in [first, body["images"][0]]]
    before, after = (api.results.records.load_recipe(key) for key in keys)
    assert after["source"] == "result"
    assert after["source_key"] == keys[0]
    assert after["photo_key"] == before["photo_key"]


async def test_variation_makes_four_by_default(api):
    first = (await api.generate(num_images=1)).json()["images"][0]
    path = first.removeprefix("http://shop.test")
    body = {"image_url": path, "prompt": "forest", "model": "controlnet"}
    answer = await api.client.post("/api/variation", json=body)
    assert len(answer.json()["images"]) == 4


async def test_conditional_get(api):
    url = (await api.generate(num_images=1)).json()["images"][0]
    full = await api.client.get(url)
    etag, modified = full.headers["etag"], full.headers["last-modified"]
    assert parsedate_to_datetime(modified).tzinfo is not None
    for headers in (
        {"If-None-Match": etag},
        {"If-None-Match": f'"other", W/{etag}'},
        {"If-None-Match": "*"},
        {"If-Modified-Since": modified},
    ):
        answer = await api.client.get(url, headers=headers)
        assert answer.status_code == 304, headers
        assert answer.content == b""
        assert answer.headers["etag"] == etag
    for headers in (
        {"If-None-Match": '"other"'},
        {"If-None-Match": '"other"', "If-Modified-Since": modified},
        {"If-Modified-Since": "Mon, 01 Jan 2001 00:00:00 GMT"},
        {"If-Modified-Since": "yesterday"},
    ):
        assert (await api.client.get(url, headers=headers)).status_code == 200, headers


async def test_head_has_the_length_and_no_body(api):
    url = (await api.generate(num_images=1)).json()["images"][0]
    head, full = await api.client.head(url), await api.client.get(url)
    assert head.status_code == 200
    assert head.content == b""
    assert head.headers["content-length"] == full.headers["content-length"]


@pytest.mark.parametrize(("retention_s", "longest"), [(3600, 3600), (None, 365 * 24 * 3600)])
async def test_cache_lifetime_is_no_longer_than_retention(tmp_path, retention_s, longest):
    made = surface(tmp_path, retention_s=retention_s)
    async with made.client:
        url = (await made.generate(num_images=1)).json()["images"][0]
        control = (await made.client.get(url)).headers["cache-control"]
    age = int(re.search(r"max-age=(\d+)", control)[1])
    assert longest - 60 <= age <= longest


async def test_public_base_url_is_used_and_understood(tmp_path):
    made = surface(tmp_path, IngressSettings(public_base_url="https://cdn.shop.example/img"))
    async with made.client:
        url = (await made.generate(num_images=1)).json()["images"][0]
        assert url.startswith("https://cdn.shop.example/img/generated/")
        body = {"image_url": url, "prompt": "x", "model": "controlnet", "num_images": 1}
        assert (await made.client.post("/api/variation", json=body)).status_code == 200
        body["image_url"] = url.replace("cdn.shop.example", "evil.example")
        assert (await made.client.post("/api/variation", json=body)).status_code == 400


@pytest.mark.parametrize(
    ("headers", "scheme"),
    [
        ([], "http"),
        (["https"], "https"),
        (["https, http"], "https"),
        (["HTTPS,http,http"], "https"),
        (["https", "http"], "https"),
        (["http, https"], "http"),
        (["ftp, https"], "http"),
        ([", https"], "http"),
        (["https://evil.example/"], "http"),
    ],
)
async def test_urls_begin_as_the_caller_came(api, headers, scheme):
    sent = [("X-Forwarded-Proto", value) for value in headers]
    data = {"prompt": "p", "model": "stable-diffusion", "num_images": "1"}
    answer = await api.client.post(
        "/api/generate", data=data, files={"image": ("a.png", png())}, headers=sent
    )
    assert answer.json()["images"][0].startswith(f"{scheme}://shop.test/generated/")


async def test_events_arrive_as_they_happen(api):
    data = {"prompt": "p", "model": "stable-diffusion", "num_images": "2", "seed": "1"}
    answer = await api.client.post(
        "/api/generate",
        data=data,
        files={"image": ("a.png", png())},
        headers={"Accept": "text/event-stream"},
    )
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    seen = events(answer.text)
    names = [name for name, _ in seen]
    assert names.count("image") == 2
    assert names[-1] == "done"
    steps = CATALOG[0].steps * CATALOG[0].strength
    progress = [data for name, data in seen if name == "progress" and data["index"] == 0]
    assert [event["step"] for event in progress] == list(range(1, int(steps) + 1))
    images = {data["index"]: data for name, data in seen if name == "image"}
    done = seen[-1][1]
    assert [images[0]["url"], images[1]["url"]] == done["images"]
    assert [images[0]["seed"], images[1]["seed"]] == done["seeds"] == [1, 2]
    assert [images[0]["fidelity"], images[1]["fidelity"]] == done["fidelity"]


async def test_a_failure_ends_the_event_stream_with_an_error(api):
    api.models.failures.append(Unavailable("model 'x' is not available", 3))
    answer = await api.client.post(
        "/api/generate",
        data={"prompt": "p", "model": "stable-diffusion", "num_images": "1"},
        files={"image": ("a.png", png())},
        headers={"Accept": "text/event-stream", "X-Request-Id": "me-1"},
    )
    assert events(answer.text)[-1] == (
        "error",
        {"error": "model 'x' is not available", "code": "unavailable", "request_id": "me-1"},
    )


async def test_what_models_could_not_honour_is_said_once(api):
    api.models.warnings = ("the prompt is too long",)
    assert (await api.generate()).json()["warnings"] == ["the prompt is too long"]


async def test_a_caller_who_leaves_cancels_the_jobs(api):
    api.models.gate.clear()
    task = asyncio.create_task(api.generate(num_images=3))
    while len(api.models.jobs) < 3:
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert sorted(api.models.cancelled) == sorted(job.key for job in api.models.jobs)
    api.models.gate.set()
    assert (await api.generate()).status_code == 200


async def test_the_server_can_start_and_end_it(api):
    """Serve runs an application's lifespan, which is no request and has no headers."""
    said = []
    asked = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

    async def receive():
        return asked.pop(0)

    async def send(message):
        said.append(message["type"])

    await api.app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send)
    assert said == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
