"""The field `lora`: what reaches the model, what is refused, and where it is told."""

from __future__ import annotations

import re
from io import BytesIO

import pytest
from PIL import Image

from deployments.loras import Lora
from deployments.settings import LoraSettings, ModelSettings
from tests.unit.ingress.background import ASYNC, at_work, settings, submit, until_over
from tests.unit.ingress.memory import Surface, png, surface
from tests.unit.ingress.test_idempotency import generate
from tests.unit.ingress.test_problems import problem


def beside(name: str, scale: float = 1.0) -> LoraSettings:
    return LoraSettings(weights=f"/{name}", name=name, per_request=True, scale=scale)


FUSED = LoraSettings(weights="/few-steps")
CATALOG = (
    ModelSettings(
        id="stable-diffusion",
        name="Stable Diffusion",
        weights="/weights",
        size=64,
        steps=4,
        loras=(beside("film"), FUSED, beside("Water-colour_2", 0.75)),
    ),
    ModelSettings(id="controlnet", name="ControlNet", size=64, steps=4),
    ModelSettings(id="klein", name="Klein", family="flux2", size=64, loras=(beside("clay"),)),
)


@pytest.fixture
async def api(tmp_path) -> Surface:
    made = surface(tmp_path, settings(), catalog=CATALOG)
    async with made.client:
        yield made


def given(api: Surface) -> list[Lora | None]:
    return [job.settings.lora for job in api.models.jobs]


@pytest.mark.parametrize(
    ("sent", "lora"),
    [
        ("film", Lora("film", 1.0)),
        ("Water-colour_2", Lora("Water-colour_2", 0.75)),
        ("Water-colour_2:1", Lora("Water-colour_2", 1.0)),
        ("film:-2", Lora("film", -2.0)),
        ("film:0.25", Lora("film", 0.25)),
        ("film:.5", Lora("film", 0.5)),
        ("film:0", Lora("film", 0.0)),
        ("", None),
    ],
)
async def test_a_lora_reaches_the_model_of_a_form(api, sent, lora):
    assert (await api.generate(num_images=2, lora=sent)).status_code == 200
    assert given(api) == [lora, lora]


@pytest.mark.parametrize("form", [True, False])
async def test_a_variation_names_its_own(api, form):
    url = (await api.generate(num_images=1, lora="film:0.5")).json()["images"][0]
    body = {"image_url": url, "prompt": "Forest", "model": "klein", "num_images": 1}
    for fields in ({"lora": "clay:1.5"}, {}):
        sent = {"data" if form else "json": {**body, **fields}}
        if form:
            sent["files"] = {"style_image": ("style.png", png())}
        answer = await api.client.post("/api/variation", **sent)
        assert answer.status_code == 200, answer.text
    assert given(api) == [Lora("film", 0.5), Lora("clay", 1.5), None]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (
            {"lora": "clay"},
            "lora: model 'stable-diffusion' has no LoRA 'clay': it has film, Water-colour_2",
        ),
        (
            {"lora": "film", "model": "controlnet"},
            "lora: model 'controlnet' has no LoRA 'film': it has none that requests choose",
        ),
    ],
)
async def test_an_unknown_lora_is_refused_before_anything_is_done(api, fields, told):
    assert problem(await api.generate(**fields), 400, "invalid_request") == told
    later = await submit(api, **fields)
    assert problem(later, 400, "invalid_request") == told
    assert not api.models.jobs
    assert not api.names()


MUST_BE = (
    "lora must be NAME or NAME:SCALE, with letters, digits, - and _ in the name and a number from "
    "-2 to 2 as the scale, not "
)


@pytest.mark.parametrize(
    "sent",
    ["film:2.01", "film:-3", "film:1e9", "film:much", "film:", "film:nan", "film:inf", "film:0x1",
     "film:1:1", ":1", "a film", "film: 1", "<lora:film:1>", "film\n", "{most}", "x" * 65],
)  # fmt: skip
async def test_what_is_no_lora_is_named(api, sent):
    url = (await api.generate(num_images=1)).json()["images"][0]
    if sent == "film\n":  # the framework of forms keeps it
        assert problem(await api.vary(url, lora=sent), 400, "invalid_request").startswith(MUST_BE)
        return
    told = f"{MUST_BE}{sent!r}"
    assert problem(await api.generate(lora=sent), 400, "invalid_request") == told
    assert problem(await api.vary(url, lora=sent), 400, "invalid_request") == told
    assert len(api.models.jobs) == 1


async def test_json_takes_no_number(api):
    url = (await api.generate(num_images=1)).json()["images"][0]
    assert "lora" in problem(await api.vary(url, lora=1), 400, "invalid_request")


async def test_a_job_has_its_lora(api):
    answer = await submit(api, lora="film:1.5", num_images=1)
    assert answer.status_code == 202, answer.text
    async with at_work(api):
        job = await until_over(api, answer.headers["location"])
    assert job["state"] == "done"
    assert given(api) == [Lora("film", 1.5)]


async def test_an_idempotency_key_is_of_one_lora(api):
    first = await generate(api, lora="film:1.0")
    assert (await generate(api, lora="film:1")).json() == first.json()
    for lora in ("film:0.5", "Water-colour_2:1", ""):
        problem(await generate(api, lora=lora), 409, "idempotency_conflict")
    later = {"Idempotency-Key": "later-1", **ASYNC}
    one = await submit(api, headers=later, lora="film")
    assert (await submit(api, headers=later, lora="film")).json()["id"] == one.json()["id"]
    problem(await submit(api, headers=later), 409, "idempotency_conflict")


async def test_a_recipe_tells_the_lora_and_makes_the_image_again(api):
    url = (await api.generate(num_images=1, lora="Water-colour_2", seed=7)).json()["images"][0]
    told = (await api.client.get(url.replace(".png", ".json"))).json()["fields"]
    assert told["lora"] == "Water-colour_2:0.75"
    again = {name: value for name, value in told.items() if value is not None}
    assert (await api.generate(**again)).status_code == 200
    assert given(api) == [Lora("Water-colour_2", 0.75)] * 2
    plain = (await api.generate(num_images=1)).json()["images"][0]
    answer = await api.client.get(plain.replace(".png", ".json"))
    assert answer.json()["fields"]["lora"] is None


async def texts(api: Surface, url: str) -> dict[str, str]:
    """What a PNG says of itself."""
    return Image.open(BytesIO((await api.client.get(url)).content)).text


async def test_a_file_tells_the_lora(api):
    url = (await api.generate(num_images=1, lora="film:0.5")).json()["images"][0]
    assert (await texts(api, url))["backdrop:lora"] == "film:0.5"
    plain = (await api.generate(num_images=1)).json()["images"][0]
    assert "backdrop:lora" not in await texts(api, plain)


async def test_where_no_model_paints_it_has_no_effect(api):
    answer = await api.generate(background="#FFFFFF", lora="film", num_images=1)
    assert answer.status_code == 200
    assert any("lora had no effect" in one for one in answer.json()["warnings"])


async def test_the_catalogue_lists_the_names(api):
    models = (await api.client.get("/api/models")).json()["models"]
    assert [model["loras"] for model in models] == [["film", "Water-colour_2"], [], ["clay"]]
    can = [(one["capabilities"]["lora"], one["capabilities"]["loras"]) for one in models]
    assert can == [(True, True), (False, False), (True, False)]


async def test_the_facade_takes_it_as_our_other_fields(api):
    fields = {"prompt": "Beach", "lora": "film:0.5", "model": "stable-diffusion"}
    files = [("image", ("photo.png", png()))]
    answer = await api.client.post("/v1/images/edits", data=fields, files=files)
    assert answer.status_code == 200, answer.text
    assert given(api) == [Lora("film", 0.5)]
    for wrong in ("clay", "film:9"):
        refused = await api.client.post(
            "/v1/images/edits", data={**fields, "lora": wrong}, files=files
        )
        assert refused.status_code == 400
        assert refused.json()["error"]["param"] == "lora"
    assert len(api.models.jobs) == 1


async def test_the_document_describes_it(api):
    schemas = (await api.client.get("/openapi.json")).json()["components"]["schemas"]
    for body in ("GenerateForm", "VariationForm", "VariationBody"):
        pattern = schemas[body]["properties"]["lora"]["pattern"]
        taken = [re.search(pattern, one) is not None for one in ("film:0.5", "film:", "a b")]
        assert taken == [True, False, False]
    assert "lora" in schemas["RecipeFields"]["properties"]
    assert schemas["ModelEntry"]["properties"]["loras"]["items"] == {"type": "string"}
