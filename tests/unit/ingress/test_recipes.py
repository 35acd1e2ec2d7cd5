"""How results were made, told of one and of all of an API key."""

from __future__ import annotations

import pytest

from deployments.ingress.http.api_keys import KeyRing
from deployments.settings import IngressSettings, StudioSettings
from tests.unit.ingress.memory import Surface, key_of, png, surface

SHOP, OTHER = "s" * 32, "o" * 32
KEYS = {"shop": SHOP, "other": OTHER}


@pytest.fixture
def api(tmp_path) -> Surface:
    return surface(tmp_path)


@pytest.fixture
def keyed(tmp_path) -> Surface:
    made = surface(tmp_path, keys=KeyRing(KEYS))
    made.client.headers["X-API-Key"] = SHOP
    return made


def recipe_url(url: str) -> str:
    return url.rpartition(".")[0] + ".json"


async def made(api: Surface, **fields: object) -> str:
    answer = await api.generate(**{"num_images": 1, **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()["images"][0]


async def test_a_recipe_makes_the_same_image_again(api):
    fields = {
        "seed": 7,
        "steps": 3,
        "guidance_scale": 2.5,
        "strength": 0.9,
        "negative_prompt": "people",
        "aspect_ratio": "4:5",
        "padding": 0.1,
        "product_position": "0.5,0.75",
        "shadow": "cast",
        "shadow_strength": 0.5,
        "harmonize": 0.25,
        "output_format": "webp",
        "output_quality": 70,
    }
    url = await made(api, **fields)
    told = (await api.client.get(recipe_url(url))).json()
    assert told["url"] == url
    assert (told["made_from"], told["media_type"]) == ("upload", "image/webp")
    assert told["control"] is None
    again = {name: value for name, value in told["fields"].items() if value is not None}
    asked = {"prompt": "Perfume backdrop", "model": "stable-diffusion", "num_images": 1}
    expected = {**asked, **fields, "preserve_product": "auto", "background": "scene"}
    assert again == expected
    second = await made(api, **again)
    images = [(await api.client.get(each)).content for each in (url, second)]
    assert images[0] == images[1]


async def test_null_fields_can_be_sent_as_they_are(api):
    url = await made(api, preserve_product="false", size="96x64")
    fields = (await api.client.get(recipe_url(url))).json()["fields"]
    assert (fields["preserve_product"], fields["size"]) == ("false", "96x64")
    varied = await api.client.post("/api/variation", json={**fields, "image_url": url})
    assert varied.status_code == 200, varied.text
    told = (await api.client.get(recipe_url(varied.json()["images"][0]))).json()
    assert told["made_from"] == "result"
    assert told["fields"] == fields


async def test_an_image_that_no_model_painted_has_a_recipe(api):
    url = await made(api, background="#FFFFFF")
    told = (await api.client.get(recipe_url(url))).json()
    assert (told["scheduler"], told["control"], told["fields"]["seed"]) == (None, None, None)
    assert told["fields"]["background"] == "#FFFFFF"


async def test_how_a_controlnet_took_part_is_told(api):
    url = await made(api, model="controlnet")
    told = (await api.client.get(recipe_url(url))).json()
    assert told["control"] == {"scale": 0.5, "start": 0.1, "end": 0.9}


async def test_nothing_private_is_told(keyed):
    url = await made(keyed)
    answer = await keyed.client.get(recipe_url(url))
    stored = await keyed.results.load_recipe(key_of(url))
    for name in ("weights", "source_key", "photo_key", "mask_key", "photo_sha256", "owner"):
        assert stored[name]
        assert str(stored[name]) not in answer.text
    assert "shop" not in stored.values()


async def test_a_recipe_that_a_png_holds_is_everybodys(keyed):
    url = await made(keyed)
    del keyed.client.headers["X-API-Key"]
    assert (await keyed.client.get(recipe_url(url))).status_code == 200


@pytest.mark.parametrize("sent", [{}, {"X-API-Key": OTHER}])
async def test_a_recipe_that_no_file_holds_is_its_makers_alone(keyed, sent):
    url = await made(keyed, output_format="jpeg")
    assert (await keyed.client.get(recipe_url(url))).status_code == 200
    del keyed.client.headers["X-API-Key"]
    refused = await keyed.client.get(recipe_url(url), headers=sent)
    assert refused.status_code == 404
    assert "only told to who made it" in refused.json()["error"]
    wrong = await keyed.client.get(recipe_url(url), headers={"X-API-Key": "w" * 32})
    assert wrong.status_code == 401


async def test_without_public_metadata_nobody_else_is_told(tmp_path):
    private = StudioSettings(public_metadata=False)
    api = surface(tmp_path, keys=KeyRing(KEYS), studio=private)
    api.client.headers["X-API-Key"] = SHOP
    url = await made(api)
    assert (await api.client.get(recipe_url(url))).status_code == 200
    del api.client.headers["X-API-Key"]
    assert (await api.client.get(recipe_url(url))).status_code == 404


async def test_where_strangers_share_the_service_only_files_tell(tmp_path):
    api = surface(tmp_path, IngressSettings(allow_anonymous=True))
    shown, kept = await made(api), await made(api, output_format="jpeg")
    assert (await api.client.get(recipe_url(shown))).status_code == 200
    assert (await api.client.get(recipe_url(kept))).status_code == 404
    listed = await api.client.get("/api/results")
    assert listed.status_code == 404
    assert "strangers" in listed.json()["error"]


async def test_recipes_are_read_and_nothing_else(api):
    url = recipe_url(await made(api))
    head = await api.client.head(url)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["cache-control"] == "no-store"
    assert (await api.client.delete(url)).status_code == 405
    refused = await api.client.get(url, params={"width": 128})
    assert (refused.status_code, refused.json()["error"][:6]) == (400, "width:")
    for key in ("0" * 32, "A" * 32, "x"):
        assert (await api.client.get(f"/generated/{key}.json")).status_code == 404


async def test_a_recipe_of_an_earlier_version_is_told(api):
    url = await made(api)
    key = key_of(url)
    recipe = dict(await api.results.load_recipe(key))
    newer = ("owner", "photo_sha256", "canvas", "placement", "background", "file_format", "quality")
    await api.results.save(key, png(), {k: v for k, v in recipe.items() if k not in newer})
    told = (await api.client.get(recipe_url(url))).json()
    assert (told["media_type"], told["fields"]["size"]) == ("image/png", None)


async def test_results_are_listed_newest_first_in_pages(api):
    urls = []
    for _ in range(5):
        urls.insert(0, await made(api))
    seen, cursor, pages = [], None, 0
    while pages == 0 or cursor is not None:
        query = {"limit": 2} if cursor is None else {"limit": 2, "cursor": cursor}
        page = (await api.client.get("/api/results", params=query)).json()
        seen += [entry["url"] for entry in page["results"]]
        cursor, pages = page["cursor"], pages + 1
    assert (seen, pages) == (urls, 3)
    assert (await api.client.head("/api/results")).status_code == 200


async def test_images_of_one_request_are_listed_in_their_order(api):
    urls = (await api.generate(num_images=8)).json()["images"]
    listed = (await api.client.get("/api/results")).json()["results"]
    assert [entry["url"] for entry in listed] == urls


async def test_each_key_lists_its_own(keyed):
    own = await made(keyed)
    theirs = await keyed.client.get("/api/results", headers={"X-API-Key": OTHER})
    assert theirs.json() == {"results": [], "cursor": None}
    listed = (await keyed.client.get("/api/results")).json()["results"]
    assert [entry["url"] for entry in listed] == [own]
    del keyed.client.headers["X-API-Key"]
    assert (await keyed.client.get("/api/results")).status_code == 401


async def test_what_is_deleted_is_listed_no_more(api):
    first, second = await made(api), await made(api)
    assert (await api.client.delete(first)).status_code == 204
    listed = (await api.client.get("/api/results")).json()["results"]
    assert [entry["url"] for entry in listed] == [second]
    assert (await api.client.delete(second)).status_code == 204
    assert api.names() == []


async def test_results_of_a_failed_request_leave_no_mark(api):
    api.models.failures.append(ValueError("broken"))
    assert (await api.generate(num_images=3)).status_code == 500
    assert [name for name in api.names() if name.startswith("owned/")] == []


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"limit": "0"}, "limit must be"),
        ({"limit": "101"}, "limit must be"),
        ({"cursor": "!"}, "cursor must be"),
        ({"page": "2"}, "unknown parameter: page"),
    ],
)
async def test_a_wrong_query_is_named(api, query, said):
    refused = await api.client.get("/api/results", params=query)
    assert refused.status_code == 400
    assert said in refused.json()["error"]
