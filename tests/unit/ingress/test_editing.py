"""Editing models: what they refuse, what they are shown, and what an edit's answer says."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from deployments.errors import InvalidRequest
from deployments.ingress.core.editing import EDITED
from deployments.ingress.core.orders import Order, planned
from deployments.jobs import Photo
from deployments.settings import ModelSettings
from deployments.studio.deployment import NOT_FOUND
from deployments.studio.fitting import fit
from tests.unit.ingress.memory import Surface, png, surface
from tests.unit.ingress.test_conversation import recipe
from tests.unit.ingress.test_problems import problem
from tests.unit.ingress.test_product_fields import PLAIN, PRODUCT, image

KLEIN = ModelSettings(id="klein", name="Klein", family="flux2", size=64)
BASE = ModelSettings(
    id="base", name="Base", family="flux2", size=64, distilled=False, steps=10, guidance_scale=4.0
)
OTHER = ModelSettings(id="stable-diffusion", name="Stable Diffusion", size=64, steps=4)
PHOTO = np.asarray(Image.open(BytesIO(png())))


@pytest.fixture
async def api(tmp_path) -> Surface:
    made = surface(tmp_path, catalog=(KLEIN, BASE, OTHER))
    async with made.client:
        yield made


async def refusal(api: Surface, photo: bytes | None = None, **fields: object) -> str:
    answer = await api.generate(photo, **{"model": "klein", "num_images": 1, **fields})
    told = problem(answer, 400, "invalid_request")
    assert not api.models.jobs
    assert not api.names()
    assert api.admission.held(str(fields.get("model", "klein"))) == 0
    return told


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (
            {"negative_prompt": "people"},
            "negative_prompt: model 'klein' has distilled weights, which take no guidance",
        ),
        (
            {"guidance_scale": 4},
            "guidance_scale: model 'klein' has distilled weights, which take no guidance: at most "
            "1, not 4",
        ),
        (
            {"strength": 0.5, "preserve_product": "false"},
            "strength: model 'klein' paints the whole picture anew where no product is kept, so it "
            "takes none but 1, not 0.5",
        ),
        (
            {"strength": 0.5, "preserve_product": "false", "model": "base"},
            "strength: model 'base' paints the whole picture anew where no product is kept, so it "
            "takes none but 1, not 0.5",
        ),
    ],
)
async def test_what_a_model_cannot_honour_is_refused_before_anything_is_done(api, fields, told):
    assert await refusal(api, **fields) == told
    assert api.studio.sought == 0


def test_strength_is_refused_when_it_is_planned():
    # So a request that is answered later is refused at once.
    order = Order("klein", "a forest", 1, strength=0.5, preserve="false")
    with pytest.raises(InvalidRequest, match=r"^strength: model 'klein' paints the whole picture"):
        planned(order, [KLEIN], 0.0)


def test_strength_is_rounded_up_as_the_model_does():
    order = Order("klein", "a forest", 1, strength=0.2)
    assert planned(order, [KLEIN], 0.0).jobs[0].settings.strength == 0.2
    with pytest.raises(InvalidRequest, match=r"^strength: 0\.2 of 4 steps leaves none"):
        planned(replace(order, model=OTHER.id), [OTHER], 0.0)


async def test_strength_is_refused_when_no_product_was_found(api):
    told = await refusal(api, PLAIN, strength=0.5)
    assert told.startswith("strength: model 'klein' paints the whole picture anew")
    assert api.studio.sought == 1


async def test_strength_is_refused_when_a_result_is_edited(api):
    made = (await api.generate(model="klein", num_images=1)).json()["images"][0]
    fields = {"model": "klein", "num_images": 1, "strength": 0.5, "preserve_product": False}
    problem(await api.vary(made, **fields), 400, "invalid_request")
    assert len(api.models.jobs) == 1


async def test_fields_of_a_controlnet_are_unknown(api):
    assert "control_scale" in await refusal(api, control_scale=0.5)


@pytest.mark.parametrize(
    ("fields", "negative", "guidance"),
    [
        ({"model": "klein", "guidance_scale": 1}, "", 1.0),
        ({"model": "base", "negative_prompt": "people"}, "people", 4.0),
        ({"model": "base", "guidance_scale": 2.5}, "", 2.5),
    ],
)
async def test_what_a_model_honours_reaches_it(api, fields, negative, guidance):
    assert (await api.generate(num_images=1, **fields)).status_code == 200
    asked = api.models.jobs[0].settings
    assert (asked.negative_prompt, asked.guidance_scale) == (negative, guidance)


async def test_a_product_is_kept_by_painting_around_it(api):
    answer = (await api.generate(model="klein", num_images=1, strength=0.5)).json()
    assert api.models.photos[0].mask is not None
    assert api.models.jobs[0].settings.strength == 0.5
    result = await image(api, answer["images"][0])
    assert np.array_equal(result[PRODUCT], PHOTO[PRODUCT])
    assert answer["fidelity"][0]["pixels"] == 1.0
    assert EDITED not in answer["warnings"]


async def test_an_edit_says_that_it_keeps_no_pixel(api):
    fields = {"model": "base", "num_images": 1, "strength": 1, "preserve_product": "false"}
    answer = (await api.generate(**fields)).json()
    assert api.models.photos[0].mask is None
    assert answer["warnings"] == [EDITED]
    assert "preserve_product=true" in EDITED
    assert recipe(api, answer["images"][0])["strength"] == 1.0


async def test_an_edit_starts_from_noise_whatever_the_models_strength_is(tmp_path):
    own = KLEIN.model_copy(update={"strength": 0.6})
    made = surface(tmp_path, catalog=(own, OTHER))
    async with made.client:
        answer = (await made.generate(PLAIN, model="klein", num_images=2)).json()
    assert answer["warnings"] == [NOT_FOUND, EDITED]
    assert [job.settings.strength for job in made.models.jobs] == [1.0, 1.0]


async def test_other_models_go_on_as_before(api):
    fields = {"num_images": 1, "strength": 0.5, "preserve_product": "false"}
    answer = (await api.generate(**fields)).json()
    assert EDITED not in answer["warnings"]
    await api.vary(answer["images"][0], model="stable-diffusion", num_images=1)
    assert [photo.references for photo in api.models.photos] == [(), ()]


@pytest.mark.parametrize("preserve", [True, False], ids=["kept", "edited"])
async def test_a_variation_shows_the_result_and_the_first_photo(api, preserve):
    made = (await api.generate(model="klein", num_images=1)).json()["images"][0]
    assert api.models.photos[0].references == ()
    for _ in range(2):
        fields = {"model": "klein", "num_images": 1, "preserve_product": preserve}
        before = await image(api, made)
        made = (await api.vary(made, **fields)).json()["images"][0]
        shown = api.models.photos[-1]
        assert np.array_equal(shown.pixels, fit(Photo(before), 64).pixels)
        (first,) = shown.references
        assert np.array_equal(first, fit(Photo(PHOTO), 64).pixels)
        assert (shown.mask is not None) == preserve


async def test_a_cut_out_of_a_conversation_shows_the_first_photo_too(api):
    files = {"image": ("photo.png", png(), "image/png")}
    cutout = (await api.client.post("/api/cutout", files=files)).json()["cutout"]
    fields = {"model": "klein", "num_images": 1, "cutout": cutout}
    made = (await api.generate(**fields)).json()["images"][0]
    assert api.models.photos[-1].references == ()
    assert (await api.vary(made, **fields)).status_code == 200
    (first,) = api.models.photos[-1].references
    assert np.array_equal(first, fit(Photo(PHOTO), 64).pixels)


async def test_no_first_photo_is_read_where_no_model_paints(api):
    made = (await api.generate(model="klein", num_images=1)).json()["images"][0]
    answer = await api.vary(made, model="klein", background="#ffffff")
    assert answer.status_code == 200
    assert EDITED not in answer.json()["warnings"]


async def test_the_catalogue_tells_what_each_can_do(api):
    klein, base, other = (await api.client.get("/api/models")).json()["models"]
    can = [one["capabilities"] for one in (klein, base, other)]
    assert [one["edit"] for one in can] == [True, True, False]
    assert [one["negative_prompt"] for one in can] == [False, True, True]
    assert not any(one["control"] for one in can)
    assert klein["defaults"] == {"steps": 4, "guidance_scale": 1.0, "strength": 1.0}
    assert klein["limits"]["guidance_scale"] == 1.0
    assert base["limits"]["guidance_scale"] > 1
