"""POST /v1/images/edits in memory: OpenAI's fields become the orders of POST /api/generate."""

from __future__ import annotations

import base64
import json
from io import BytesIO

import pytest
from PIL import Image

from deployments.ingress.http.api_keys import KeyRing
from tests.unit.ingress.memory import CATALOG, Surface, key_of, png, surface

EDITS = "/v1/images/edits"
PRODUCT = (16, 8, 33, 25)
"""Where the product of `png` lies."""


def mask(box=PRODUCT, size=(48, 32), opacity=255, mode="RGBA") -> bytes:
    """OpenAI's: transparent where the picture shall change."""
    picture = Image.new("RGBA", size, (90, 10, 10, 0))
    picture.paste((10, 90, 10, opacity), box)
    buffer = BytesIO()
    picture.convert(mode).save(buffer, "PNG")
    return buffer.getvalue()


async def edit(api: Surface, files=None, path=EDITS, headers=None, **fields):
    sent = [("image", ("photo.png", png(), "image/png"))] if files is None else files
    data = {"prompt": "Perfume backdrop", **{name: str(value) for name, value in fields.items()}}
    return await api.client.post(path, data=data, files=sent, headers=headers)


def marked(file: bytes, field: str = "mask"):
    return [("image", ("photo.png", png())), (field, ("mask.png", file))]


def pixels(entry: dict) -> Image.Image:
    image = Image.open(BytesIO(base64.b64decode(entry["b64_json"])))
    image.load()
    return image


def events(text: str) -> list[dict]:
    blocks = [block for block in text.replace("\r\n", "\n").split("\n\n") if "data: " in block]
    told = []
    for block in blocks:
        lines = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
        data = json.loads(lines["data"])
        assert lines["event"] == data["type"]
        told.append(data)
    return told


async def test_one_image_of_the_first_model_comes_in_the_answer(api):
    answer = await edit(api, seed=7)
    assert answer.status_code == 200
    body = answer.json()
    assert list(body) == [
        "created", "data", "background", "output_format", "quality", "size", "warnings", "withheld",
    ]  # fmt: skip
    (image,) = body["data"]
    assert set(image) == {"b64_json", "seed", "fidelity"}
    assert image["seed"] == 7
    assert pixels(image).getpixel((0, 0)) == (7, 7, 7)
    assert (body["size"], body["output_format"], body["background"]) == ("48x32", "png", "opaque")
    assert [job.settings.prompt for job in api.models.jobs] == ["Perfume backdrop"]
    assert answer.headers["cache-control"] == "no-store"
    assert "engine;dur=" in answer.headers["server-timing"]


async def test_urls_are_those_of_results(api):
    body = (await edit(api, n=2, response_format="url", output_format="webp")).json()
    urls = [image["url"] for image in body["data"]]
    assert all(url.startswith("http://shop.test/generated/") for url in urls)
    assert all(url.endswith(".webp") for url in urls)
    assert (await api.client.get(urls[1])).status_code == 200


async def test_it_makes_what_generate_makes(api):
    here = (await edit(api, seed=5, steps=9, guidance_scale=2.5, size="64x64", n=2)).json()
    there = await api.generate(seed=5, steps=9, guidance_scale=2.5, size="64x64", num_images=2)
    first, second = (api.models.jobs[at : at + 2] for at in (0, 2))
    assert [job.settings for job in first] == [job.settings for job in second]
    for image, url in zip(here["data"], there.json()["images"], strict=True):
        stored = Image.open(BytesIO((await api.client.get(url)).content))
        assert pixels(image).tobytes() == stored.tobytes()


async def test_what_is_opaque_in_a_mask_is_kept(api):
    half = (16, 8, 24, 25)
    body = (await edit(api, marked(mask(half)), seed=7)).json()
    picture = pixels(body["data"][0])
    assert picture.getpixel((20, 16)) == (20, 60, 220)  # marked
    assert picture.getpixel((30, 16)) != (20, 60, 220)  # the rest of the product is painted
    assert api.studio.finder.searched == []


async def test_what_is_half_opaque_is_the_products_alpha(api):
    body = (await edit(api, marked(mask(opacity=128)), seed=0, shadow="none")).json()
    blue = pixels(body["data"][0]).getpixel((24, 16))[2]
    assert 80 < blue < 160


async def test_ours_marks_in_white(api):
    white = Image.new("L", (48, 32), 0)
    white.paste(255, (16, 8, 24, 25))
    buffer = BytesIO()
    white.save(buffer, "PNG")
    ours = await edit(api, marked(buffer.getvalue(), "product_mask"), seed=7)
    theirs = await edit(api, marked(mask((16, 8, 24, 25))), seed=7)
    assert pixels(ours.json()["data"][0]).tobytes() == pixels(theirs.json()["data"][0]).tobytes()


@pytest.mark.parametrize(
    ("file", "told"),
    [
        (mask(mode="RGB"), "mask must be transparent where the picture shall change"),
        (mask(box=(0, 0, 48, 32)), "mask must be transparent where the picture shall change"),
        (mask(box=(0, 0, 1, 1), opacity=0), "mask: "),
        (mask(size=(24, 16)), "mask: the mask is 24 x 16 pixels, the photo 48 x 32"),
        (b"no image", "mask: the file is not a PNG, JPEG or WebP image"),
    ],
    ids=["no alpha", "opaque", "clear", "small", "no image"],
)
async def test_a_mask_that_marks_nothing_is_named(api, file, told):
    answer = await edit(api, marked(file))
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["message"].startswith(told)
    assert error["param"] == "mask"


async def test_two_masks_are_a_contradiction(api):
    files = [*marked(mask()), ("product_mask", ("mask.png", mask()))]
    error = (await edit(api, files)).json()["error"]
    assert error["message"] == "mask and product_mask both mark the product: send one of them"


async def test_a_list_of_one_image_is_one(api):
    for field in ("image", "image[]"):
        answer = await edit(api, [(field, ("photo.png", png()))])
        assert answer.status_code == 200


@pytest.mark.parametrize("fields", [("image[]", "image[]"), ("image", "image[]")])
async def test_several_images_are_refused_by_their_number(api, fields):
    answer = await edit(api, [(field, ("photo.png", png())) for field in fields])
    assert answer.status_code == 400
    assert answer.json()["error"] == {
        "message": "image: model 'stable-diffusion' looks at one picture, and 2 were sent",
        "type": "invalid_request_error",
        "param": "image",
        "code": "invalid_request",
        "request_id": answer.headers["x-request-id"],
    }
    assert api.models.jobs == []


@pytest.mark.parametrize(
    ("asked", "steps"),
    [({}, 4), ({"quality": "low"}, 2), ({"quality": "high"}, 6), ({"quality": "auto"}, 4)],
)
async def test_quality_is_steps(api, asked, steps):
    assert CATALOG[0].steps == 4
    answer = await edit(api, **asked)
    assert [job.settings.steps for job in api.models.jobs] == [steps]
    assert answer.json()["quality"] == {2: "low", 4: "medium", 6: "high"}[steps]


async def test_steps_of_ones_own_say_nothing_of_quality(api):
    assert "quality" not in (await edit(api, steps=9)).json()
    error = (await edit(api, steps=9, quality="high")).json()["error"]
    assert error["message"] == "quality and steps each say how many steps: send one of them"


async def test_a_transparent_background_needs_no_model(api):
    body = (await edit(api, background="transparent")).json()
    assert body["background"] == "transparent"
    assert pixels(body["data"][0]).mode == "RGBA"
    assert "seed" not in body["data"][0]
    assert body["warnings"] == [
        "background=transparent is painted by no model: prompt had no effect"
    ]
    assert api.models.jobs == []


async def test_a_preset_fills_in_what_is_left_open(api):
    body = (await edit(api, preset="marketplace-white", background="auto")).json()
    assert body["output_format"] == "jpeg"
    assert api.models.jobs == []
    body = (await edit(api, preset="marketplace-white", background="opaque")).json()
    assert len(api.models.jobs) == 1


async def test_compression_is_quality(api):
    sizes = []
    for asked in ({"output_compression": 1}, {"output_compression": 50}, {}):
        body = (await edit(api, seed=1, output_format="jpeg", **asked)).json()
        sizes.append(len(base64.b64decode(body["data"][0]["b64_json"])))
    assert sizes == sorted(set(sizes))  # OpenAI's default is 100
    assert (await edit(api, output_compression=100)).status_code == 200
    error = (await edit(api, output_compression=99)).json()["error"]
    assert error["param"] == "output_compression"


async def test_each_image_is_an_event(api):
    answer = await edit(api, n=2, seed=7, stream="true", partial_images=0)
    assert answer.headers["content-type"].startswith("text/event-stream")
    told = events(answer.text)
    assert [event["type"] for event in told] == ["image_edit.completed"] * 2
    assert sorted((event["index"], event["seed"]) for event in told) == [(0, 7), (1, 8)]
    for event in told:
        assert pixels(event).getpixel((0, 0)) == (event["seed"],) * 3
        assert (event["size"], event["quality"], event["warnings"]) == ("48x32", "medium", [])


async def test_a_stream_that_fails_ends_with_the_error(api):
    api.models.failures.append(RuntimeError("secret"))
    told = events((await edit(api, stream="true")).text)
    assert told[-1]["type"] == "error"
    assert told[-1]["error"]["type"] == "server_error"
    assert "secret" not in str(told)


async def test_a_repeated_request_gets_its_answer_in_either_form(api):
    headers = {"Idempotency-Key": "once"}
    first = await edit(api, headers=headers)
    again = await edit(api, headers=headers, response_format="url")
    assert again.headers["idempotent-replayed"] == "true"
    streamed = await edit(api, headers=headers, stream="true")
    assert streamed.headers["idempotent-replayed"] == "true"
    content = (await api.client.get(again.json()["data"][0]["url"])).content
    for entry in (first.json()["data"][0], events(streamed.text)[0]):
        assert base64.b64decode(entry["b64_json"]) == content
    assert len(api.models.jobs) == 1
    assert (await edit(api, headers=headers, seed=3)).status_code == 409


async def test_the_polarity_of_a_mask_is_part_of_the_request(api):
    headers = {"Idempotency-Key": "once"}
    await edit(api, marked(mask()), headers=headers)
    again = await edit(api, marked(mask(), "product_mask"), headers=headers)
    assert again.status_code == 409


async def test_a_deleted_image_cannot_come_again(api):
    headers = {"Idempotency-Key": "once"}
    url = (await edit(api, headers=headers, response_format="url")).json()["data"][0]["url"]
    await api.client.delete(url)
    assert (await edit(api, headers=headers)).status_code == 404
    assert (await edit(api, headers=headers, response_format="url")).status_code == 200


async def test_a_variation_needs_a_prompt_here(api):
    files = {"image": ("photo.png", png())}
    answer = await api.client.post("/v1/images/variations", data={"n": "2"}, files=files)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["param"] == "prompt"
    assert "/v1/images/edits" in error["message"]
    answer = await edit(api, path="/v1/images/variations", n=2)
    assert len(answer.json()["data"]) == 2


async def test_nothing_is_drawn_without_a_photo(api):
    answer = await api.client.post("/v1/images/generations", json={"prompt": "Beach"})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert "/v1/images/edits" in error["message"]


async def test_models_are_listed_and_described(api):
    listed = (await api.client.get("/v1/models")).json()
    assert listed["object"] == "list"
    assert [entry["id"] for entry in listed["data"]] == [model.id for model in CATALOG]
    one = await api.client.get("/v1/models/controlnet")
    assert one.json() == listed["data"][1]
    assert one.json()["object"] == "model"
    assert (await api.client.head("/v1/models")).status_code == 200
    unknown = await api.client.get("/v1/models/gpt-image-1")
    assert unknown.status_code == 404
    assert unknown.json()["error"]["code"] == "model_not_found"


async def test_the_file_is_stored_once(api):
    body = (await edit(api, response_format="url")).json()
    key = key_of(body["data"][0]["url"])
    assert len([name for name in api.names() if key in name and "recipe" not in name]) >= 1
    assert api.results.records.load_recipe(key)["source"] == "upload"


async def test_keys_are_asked_for(tmp_path):
    made = surface(tmp_path, keys=KeyRing({"shop": "s3cret-9f1c"}))
    async with made.client:
        for answer in (await made.client.get("/v1/models"), await edit(made)):
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
            assert answer.json()["error"]["code"] == "unauthorized"
        bearer = {"Authorization": "Bearer s3cret-9f1c"}
        assert (await edit(made, headers=bearer)).status_code == 200
