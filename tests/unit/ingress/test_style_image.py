"""`style_image`: what an editing model looks at beside the photo."""

from __future__ import annotations

import numpy as np
import pytest

from deployments.jobs import Photo
from deployments.studio.fitting import fit
from tests.unit.ingress.background import ASYNC, at_work, settings, until_over
from tests.unit.ingress.memory import Surface, png, surface
from tests.unit.ingress.test_conversation import recipe
from tests.unit.ingress.test_editing import KLEIN, OTHER, PHOTO
from tests.unit.ingress.test_openai_edits import edit
from tests.unit.ingress.test_problems import problem
from tests.unit.ingress.test_recipes import recipe_url

STYLE = png(64, 48, colour=(200, 60, 20), product=None)
SHOWN = fit(Photo(np.full((48, 64, 3), (200, 60, 20), np.uint8)), 64).pixels
NO_STYLE = (
    "style_image: model 'stable-diffusion' looks at no picture but the photo; models with the "
    "capability style_image do"
)


@pytest.fixture
async def api(tmp_path) -> Surface:
    made = surface(tmp_path, settings(), catalog=(KLEIN, OTHER))
    async with made.client:
        yield made


async def styled(api: Surface, style: bytes = STYLE, path="/api/generate", headers=None, **fields):
    data = {"prompt": "in this style", "model": "klein", "num_images": "1", **fields}
    files = {"style_image": ("style.png", style, "image/png")}
    if path == "/api/generate" and "cutout" not in fields:
        files["image"] = ("photo.png", png(), "image/png")
    return await api.client.post(path, data=data, files=files, headers=headers)


def references(api: Surface) -> tuple[np.ndarray, ...]:
    return api.models.photos[-1].references


@pytest.mark.parametrize("preserve", ["true", "false"], ids=["kept", "edited"])
async def test_an_editing_model_looks_at_it_beside_the_photo(api, preserve):
    answer = await styled(api, preserve_product=preserve)
    assert answer.status_code == 200, answer.text
    (seen,) = references(api)
    assert np.array_equal(seen, SHOWN)
    assert np.array_equal(api.models.photos[-1].pixels, fit(Photo(PHOTO), 64).pixels)


async def test_in_a_variation_it_comes_after_the_first_photo(api):
    made = (await styled(api)).json()["images"][0]
    answer = await styled(api, path="/api/variation", image_url=made)
    assert answer.status_code == 200, answer.text
    first, seen = references(api)
    assert np.array_equal(first, fit(Photo(PHOTO), 64).pixels)
    assert np.array_equal(seen, SHOWN)


async def test_it_goes_with_a_cut_out(api):
    files = {"image": ("photo.png", png(), "image/png")}
    cutout = (await api.client.post("/api/cutout", files=files)).json()["cutout"]
    assert (await styled(api, cutout=cutout)).status_code == 200
    (seen,) = references(api)
    assert np.array_equal(seen, SHOWN)


async def test_it_waits_in_the_store_with_a_job(api):
    answer = await styled(api, headers=ASYNC)
    assert answer.status_code == 202, answer.text
    async with at_work(api):
        job = await until_over(api, answer.headers["location"])
    assert job["state"] == "done"
    (seen,) = references(api)
    assert np.array_equal(seen, SHOWN)
    assert not [name for name in api.names() if name.startswith("uploads/")]


@pytest.mark.parametrize("headers", [None, ASYNC], ids=["at once", "later"])
async def test_a_model_that_looks_at_one_picture_refuses_it(api, headers):
    answer = await styled(api, model=OTHER.id, headers=headers)
    assert problem(answer, 400, "invalid_request") == NO_STYLE
    assert not api.names()


async def test_a_background_that_no_model_paints_refuses_it(api):
    answer = await styled(api, background="#ffffff")
    told = problem(answer, 400, "invalid_request")
    assert told == "style_image: background=#ffffff is painted by no model"


@pytest.mark.parametrize("headers", [None, ASYNC], ids=["at once", "later"])
async def test_a_damaged_one_is_named(api, headers):
    answer = await styled(api, b"no picture", headers=headers)
    assert problem(answer, 400, "invalid_image").startswith("style_image")


async def test_another_one_is_another_request(api):
    for headers in ({}, ASYNC):
        headers = {**headers, "Idempotency-Key": f"order-{len(headers)}"}
        assert (await styled(api, headers=headers)).status_code in (200, 202)
        assert (await styled(api, headers=headers)).headers["idempotent-replayed"] == "true"
        other = await styled(api, png(64, 48, product=None), headers=headers)
        problem(other, 409, "idempotency_conflict")


async def test_the_recipe_tells_that_it_took_part(api):
    without = (await api.generate(model="klein", num_images=1)).json()["images"][0]
    with_it = (await styled(api)).json()["images"][0]
    told = [(await api.client.get(recipe_url(url))).json() for url in (without, with_it)]
    assert [one["style_image"] for one in told] == [False, True]
    assert len(recipe(api, with_it)["style_sha256"]) == 64
    assert b"style_sha256" not in (await api.client.get(with_it)).content


async def test_the_catalogue_tells_who_takes_it(api):
    models = (await api.client.get("/api/models")).json()["models"]
    assert [model["capabilities"]["style_image"] for model in models] == [True, False]


@pytest.mark.parametrize("first", ["image", "image[]"])
@pytest.mark.parametrize("second", ["image[]", "style_image"])
async def test_openais_second_image_is_one(api, first, second):
    answer = await edit(api, [(first, ("a.png", png())), (second, ("b.png", STYLE))])
    assert answer.status_code == 200, answer.text
    (seen,) = references(api)
    assert np.array_equal(seen, SHOWN)


async def test_openais_third_image_is_refused(api):
    answer = await edit(api, [("image[]", ("a.png", png()))] * 3)
    told = answer.json()["error"]
    assert told["message"] == "image: model 'klein' looks at two pictures at most, and 3 were sent"
    assert told["param"] == "image"


async def test_openais_second_image_and_a_style_image_are_a_contradiction(api):
    pictures = [("image[]", ("a.png", png())), ("image[]", ("b.png", STYLE))]
    answer = await edit(api, [*pictures, ("style_image", ("c.png", STYLE))])
    told = answer.json()["error"]["message"]
    assert told == "image and style_image both have a second picture: send one of them"


async def test_openais_damaged_second_image_has_the_callers_name(api):
    answer = await edit(api, [("image[]", ("a.png", png())), ("image[]", ("b.png", b"none"))])
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "image"
    assert answer.json()["error"]["message"].startswith("image")
