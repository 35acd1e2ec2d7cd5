"""Results as files: their formats and endings, what answers tell of them, and smaller copies."""

from __future__ import annotations

import asyncio
import hashlib
from io import BytesIO

import pytest
from PIL import Image

from deployments.ingress.http.api_keys import KeyRing
from deployments.settings import IngressSettings
from tests.unit.ingress.memory import Surface, key_of, png, surface

FORMATS = [("png", "png", "PNG"), ("jpeg", "jpg", "JPEG"), ("webp", "webp", "WEBP")]


async def made(api: Surface, **fields: object) -> str:
    answer = await api.generate(num_images=1, **fields)
    assert answer.status_code == 200, answer.text
    return answer.json()["images"][0]


def picture(data: bytes) -> Image.Image:
    image = Image.open(BytesIO(data))
    image.load()
    return image


def refused(answer, status: int, *named: str) -> None:
    assert answer.status_code == status, answer.text
    for text in named:
        assert text in answer.json()["error"]


@pytest.mark.parametrize(("file_format", "ending", "kind"), FORMATS)
async def test_a_url_ends_as_its_format_does(api, file_format, ending, kind):
    answer = await api.generate(num_images=2, output_format=file_format)
    body = answer.json()
    assert (
        body["details"] == [{"width": 48, "height": 32, "media_type": f"image/{file_format}"}] * 2
    )
    for url in body["images"]:
        assert url.endswith(f".{ending}")
        got = await api.client.get(url)
        assert got.headers["content-type"] == f"image/{file_format}"
        image = picture(got.content)
        assert (image.format, image.size) == (kind, (48, 32))
        head = await api.client.head(url)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(len(got.content))


@pytest.mark.parametrize(("file_format", "ending", "kind"), FORMATS)
async def test_another_ending_is_not_found(api, file_format, ending, kind):
    url = await made(api, output_format=file_format)
    start = url.removesuffix(ending)
    for other in {"png", "jpg", "webp", "jpeg", "gif"} - {ending}:
        for query in ("", "?width=128"):
            assert (await api.client.get(f"{start}{other}{query}")).status_code == 404
            assert (await api.client.head(f"{start}{other}{query}")).status_code == 404
        assert (await api.client.delete(f"{start}{other}")).status_code == 404
    assert (await api.client.get(url)).status_code == 200
    assert (await api.client.delete(url)).status_code == 204
    assert (await api.client.get(url)).status_code == 404
    assert api.names() == []


@pytest.mark.parametrize(("file_format", "ending", "kind"), FORMATS)
async def test_results_of_every_format_are_varied(api, file_format, ending, kind):
    url = await made(api, output_format=file_format)
    answer = await api.vary(url, num_images=1, output_format="webp")
    assert answer.status_code == 200, answer.text
    assert answer.json()["images"][0].endswith(".webp")
    assert answer.json()["fidelity"][0]["pixels"] == 1.0


async def test_a_result_from_before_formats_is_a_png(api):
    url = await made(api)
    key = key_of(url)
    recipe = dict(await api.results.load_recipe(key))
    del recipe["file_format"]
    await api.results.save(key, (await api.client.get(url)).content, recipe)
    assert (await api.client.get(url)).status_code == 200
    assert (await api.client.get(f"{url}?width=128")).status_code == 200
    assert (await api.vary(url, num_images=1)).status_code == 200
    assert (await api.client.delete(url)).status_code == 204


async def test_an_event_tells_of_the_file(api):
    data = {"prompt": "p", "model": "stable-diffusion", "num_images": "1", "output_format": "jpeg"}
    files = {"image": ("photo.png", png(), "image/png")}
    answer = await api.client.post(
        "/api/generate", data=data, files=files, headers={"Accept": "text/event-stream"}
    )
    assert '"width":48,"height":32,"media_type":"image/jpeg"' in answer.text.replace(" ", "")


@pytest.mark.parametrize(("file_format", "ending", "kind"), FORMATS)
async def test_a_smaller_copy_is_made_once_and_goes_with_its_result(api, file_format, ending, kind):
    url = await made(api, photo=png(600, 400), output_format=file_format, preserve_product="true")
    assert picture((await api.client.get(url)).content).size == (600, 400)
    first = await api.client.get(f"{url}?width=256")
    assert first.headers["content-type"] == "image/webp"
    tile = picture(first.content)
    assert (tile.format, tile.size) == ("WEBP", (256, 171))
    again = await api.client.get(f"{url}?width=256")
    assert again.content == first.content
    assert again.headers["etag"] == first.headers["etag"]
    assert api.studio.tiles == [256]
    head = await api.client.head(f"{url}?width=256")
    assert head.headers["content-length"] == str(len(first.content))
    assert f"tiles/{key_of(url)}-256.webp" in api.names()
    await api.client.delete(url)
    assert (await api.client.get(f"{url}?width=256")).status_code == 404
    assert api.names() == []


async def test_no_copy_is_larger_than_its_result(api):
    url = await made(api)
    for width in (128, 256, 512, 1024):
        assert picture((await api.client.get(f"{url}?width={width}")).content).size == (48, 32)


@pytest.mark.parametrize(
    "query",
    ["width=0", "width=-128", "width=100", "width=128.0", "width=", "width=x", "width=0128",
     "width=128px", "width=128&width=256", "width=128&width=128", "width=2048", "width=%D9%A1"],
)  # fmt: skip
async def test_other_widths_are_refused_with_those_that_there_are(api, query):
    url = await made(api)
    refused(await api.client.get(f"{url}?{query}"), 400, "width: ", "128, 256, 512, 1024")
    assert (await api.client.head(f"{url}?{query}")).status_code == 400
    assert api.studio.tiles == []


async def test_a_removal_is_of_the_result_and_never_of_a_copy_alone(api):
    url = await made(api)
    refused(await api.client.delete(f"{url}?width=128"), 400, "width: ")
    assert (await api.client.get(url)).status_code == 200


async def test_who_ask_first_at_once_all_get_it(api):
    url = await made(api, photo=png(600, 400))
    answers = await asyncio.gather(*(api.client.get(f"{url}?width=128") for _ in range(6)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert sum("tiles/" in name for name in api.names()) == 1


async def test_a_result_removed_while_its_copy_is_made_leaves_nothing(api, monkeypatch):
    url = await made(api)
    make = api.studio.make_tile

    def meanwhile(file, width):
        monkeypatch.undo()
        api.results.records.delete(key_of(url), [])
        return make(file, width)

    monkeypatch.setattr(api.studio, "make_tile", meanwhile)
    refused(await api.client.get(f"{url}?width=128"), 404)
    assert not any("tiles/" in name for name in api.names())


async def test_a_copy_is_cached_as_its_result_is(tmp_path):
    made_here = surface(tmp_path, retention_s=1000)
    async with made_here.client:
        url = await made(made_here)
        whole, tile = [await made_here.client.get(url + end) for end in ("", "?width=128")]
        assert tile.headers["etag"] != whole.headers["etag"]
        for answer in (whole, tile):
            seconds = int(answer.headers["cache-control"].partition("max-age=")[2].split(",")[0])
            assert 900 < seconds <= 1000
            assert answer.headers["cache-control"].startswith("public, ")
        for condition in (
            {"If-None-Match": tile.headers["etag"]},
            {"If-Modified-Since": tile.headers["last-modified"]},
        ):
            got = await made_here.client.get(f"{url}?width=128", headers=condition)
            assert (got.status_code, got.content) == (304, b"")


async def test_a_copy_needs_the_key_that_its_result_needs(tmp_path):
    secret = "k" * 32
    api = surface(tmp_path, IngressSettings(public_results=False), keys=KeyRing({"shop": secret}))
    async with api.client:
        url = f"/generated/{'0' * 32}.jpg?width=128"
        assert (await api.client.get(url)).status_code == 401
        assert (await api.client.get(url, headers={"X-API-Key": secret})).status_code == 404


async def test_the_document_shows_every_ending_and_the_widths(api):
    document = (await api.client.get("/openapi.json")).json()
    for file_format, ending, _ in FORMATS:
        operation = document["paths"][f"/generated/{{key}}.{ending}"]["get"]
        assert set(operation["responses"]["200"]["content"]) == {
            f"image/{file_format}",
            "image/webp",
        }
        (width,) = [given for given in operation["parameters"] if given["name"] == "width"]
        assert width["schema"]["enum"] == [128, 256, 512, 1024]
        assert "400" in operation["responses"]


async def test_recipes_know_the_upload_by_its_hash_all_along(api):
    photo = png()
    expected = hashlib.sha256(photo).hexdigest()
    urls = [await made(api, photo=photo)]
    urls += (await api.vary(urls[0], num_images=1)).json()["images"]
    cut: dict[str, object] = {"image_url": urls[1]}
    for _ in range(2):
        made_of = (await api.client.post("/api/cutout", json=cut)).json()["cutout"]
        urls += (await api.vary(urls[0], num_images=1, cutout=made_of)).json()["images"]
        cut = {"cutout": made_of}
    files = {"image": ("photo.png", photo, "image/png")}
    sent = (await api.client.post("/api/cutout", files=files)).json()["cutout"]
    fields = {"prompt": "p", "model": "controlnet", "num_images": "1", "cutout": sent}
    texts = {name: (None, value) for name, value in fields.items()}
    urls += (await api.client.post("/api/generate", files=texts)).json()["images"]
    assert len(urls) == 5
    for url in urls:
        assert (await api.results.load_recipe(key_of(url)))["photo_sha256"] == expected
        assert expected.encode() not in (await api.client.get(url)).content
