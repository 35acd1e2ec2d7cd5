"""preserve_product and product_mask: what is kept, what is said about it, and what is refused."""

from __future__ import annotations

import json
from io import BytesIO

import numpy as np
import piexif
import pytest
from PIL import Image

from deployments.settings import IngressSettings, StudioSettings, UploadLimits
from tests.unit.ingress.memory import Surface, key_of, png, surface
from tests.unit.ingress.test_api import events
from tests.unit.ingress.test_problems import problem

PLAIN = png(product=None)
"""A photo without a product."""

PRODUCT = np.zeros((32, 48), bool)
"""Where `png` draws its product; the edge, which is made soft, is left out."""
PRODUCT[10:23, 18:31] = True


def mask(pixels: np.ndarray | None = None, **options: object) -> bytes:
    """A mask file; without pixels one that marks another part than the finder would."""
    if pixels is None:
        pixels = np.zeros((32, 48), np.uint8)
        pixels[4:28, 2:12] = 255
    file = BytesIO()
    Image.fromarray(pixels).save(file, **{"format": "PNG", **options})
    return file.getvalue()


async def image(api: Surface, url: str) -> np.ndarray:
    answer = await api.client.get(url)
    assert answer.status_code == 200
    return np.asarray(Image.open(BytesIO(answer.content)))


async def test_a_product_is_kept_by_default(api):
    photo = np.asarray(Image.open(BytesIO(png())))
    body = (await api.generate(num_images=2, seed=5)).json()
    assert body["warnings"] == []
    assert [entry["pixels"] for entry in body["fidelity"]] == [1.0, 1.0]
    assert all(entry["shape"] > 0.8 for entry in body["fidelity"])
    for url, seed in zip(body["images"], body["seeds"], strict=True):
        result = await image(api, url)
        # The photo's own resolution, its product bit for bit, and round it what the model painted.
        assert result.shape == photo.shape
        assert np.array_equal(result[PRODUCT], photo[PRODUCT])
        assert np.unique(result[:4]).tolist() == [seed]
    assert api.studio.sought == 1
    painted = api.models.photos[0].mask
    assert painted is not None
    assert (painted[0, 0], painted[painted.shape[0] // 2, painted.shape[1] // 2]) == (255, 0)


async def test_without_a_product_images_are_made_and_it_is_said(api):
    body = (await api.generate(PLAIN, num_images=2)).json()
    assert body["fidelity"] == [None, None]
    (warning,) = body["warnings"]
    assert "no product was found" in warning
    assert "product_mask" in warning
    assert (await image(api, body["images"][0])).shape != (32, 48, 3)
    assert api.models.photos[0].mask is None
    # The photo is kept, and no product of it.
    assert not [name for name in api.names() if name.startswith("masks/")]


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
async def test_a_product_that_must_be_kept_and_is_not_found(api, accept):
    answer = await api.client.post(
        "/api/generate",
        data={"prompt": "p", "model": "stable-diffusion", "preserve_product": "true"},
        files={"image": ("a.png", PLAIN)},
        headers={"Accept": accept},
    )
    error = problem(answer, 400, "product_not_found")
    assert "no product was found" in error
    assert "product_mask" in error
    assert api.models.jobs == []
    assert api.names() == []


async def test_refused_requests_give_their_places_back(tmp_path):
    made = surface(tmp_path, IngressSettings(max_images=4, max_waiting_images=4))
    async with made.client:
        for _ in range(3):
            answer = await made.generate(PLAIN, num_images=4, preserve_product="true")
            problem(answer, 400, "product_not_found")
        assert (await made.generate(num_images=4)).status_code == 200


async def test_a_product_that_shall_not_be_kept_is_not_looked_for(api):
    body = (await api.generate(num_images=1, seed=9, preserve_product="false")).json()
    assert (body["fidelity"], body["warnings"]) == ([None], [])
    assert np.unique(await image(api, body["images"][0])).tolist() == [9]
    assert api.studio.sought == 0
    assert api.studio.finder.searched == []
    assert api.models.photos[0].mask is None


@pytest.mark.parametrize("preserve", ["auto", "true"])
async def test_a_mask_says_what_is_kept(api, preserve):
    photo = np.asarray(Image.open(BytesIO(png())))
    answer = await api.generate(png(), mask(), num_images=1, seed=3, preserve_product=preserve)
    body = answer.json()
    assert answer.status_code == 200, body
    result = await image(api, body["images"][0])
    assert np.array_equal(result[8:24, 5:9], photo[8:24, 5:9])
    assert not np.array_equal(result[PRODUCT], photo[PRODUCT])
    assert body["fidelity"][0]["pixels"] == 1.0
    assert api.studio.finder.searched == []


async def test_a_glass_mask_is_the_alpha_through_ten_turns(api):
    photo = np.asarray(Image.open(BytesIO(png()))).astype(int)
    glass = np.zeros((32, 48), np.uint8)
    glass[4:28, 2:12] = 255
    glass[8:24, 4:10] = 82
    body = (await api.generate(png(), mask(glass), num_images=1, seed=3)).json()
    first = await image(api, body["images"][0])
    opaque, pane = glass == 255, glass == 82
    for _ in range(10):
        body = (await api.vary(body["images"][0], num_images=1, seed=3)).json()
        assert body["fidelity"][0]["pixels"] == 1.0
    result = await image(api, body["images"][0])
    assert np.array_equal(result[opaque], photo[opaque])
    # The same seed paints the same scene, and the same of it shines through the pane.
    assert np.array_equal(result[pane], first[pane])
    assert np.abs(result[pane].astype(int) - 3).max() < 82
    assert (photo[pane].max(axis=1) == 200).all()


async def test_an_inverted_mask_is_warned_of(api):
    inside = np.zeros((32, 48), np.uint8)
    inside[8:25, 16:33] = 255
    right = (await api.generate(png(), mask(inside), num_images=2)).json()
    inverted = (await api.generate(png(), mask(255 - inside), num_images=2)).json()
    assert right["warnings"] == []
    (warning,) = inverted["warnings"]
    assert warning.startswith("product_mask seems to be inverted")


SQUARE = np.zeros((32, 48), np.uint8)
SQUARE[8:24, 8:24] = 255
COLOURED = np.dstack([SQUARE, SQUARE // 2, SQUARE])


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (mask(SQUARE.T), "product_mask: the mask is 32 x 48 pixels, the photo 48 x 32"),
        (mask(SQUARE * 0), "product_mask: the mask marks nothing"),
        (mask(SQUARE * 0 + 255), "product_mask: the mask marks everything"),
        (b"", "product_mask: the file is empty"),
        (b"GIF89a", "product_mask: the file is GIF; save it as PNG"),
        (mask()[:70], "product_mask: the PNG is truncated"),
        (mask(COLOURED), "product_mask must be grey, not coloured"),
        (mask(np.dstack([SQUARE] * 4)), "product_mask must not be transparent"),
        (mask(np.zeros((32, 48 * 9), np.uint8)), "product_mask: the picture is 432 x 32 pixels"),
    ],
    ids=["size", "empty", "full", "nothing", "format", "cut", "coloured", "transparent", "aspect"],
)
async def test_a_mask_that_marks_no_product_is_refused(api, given, sentence):
    answer = await api.generate(png(), given, num_images=1)
    assert sentence in answer.json()["error"]
    assert answer.status_code == 400
    assert api.models.jobs == []
    assert api.names() == []


@pytest.mark.parametrize(
    "given",
    [
        mask(SQUARE),
        mask(np.dstack([SQUARE] * 3)),
        mask(np.dstack([SQUARE, SQUARE, SQUARE, SQUARE * 0 + 255])),
        mask(SQUARE > 0),
        mask(np.dstack([SQUARE] * 3), format="JPEG"),
        mask(SQUARE, format="WEBP", lossless=True),
    ],
    ids=["grey", "rgb", "opaque", "bits", "jpeg", "webp"],
)
async def test_a_grey_mask_of_any_format_is_accepted(api, given):
    answer = await api.generate(png(), given, num_images=1)
    assert answer.status_code == 200, answer.json()
    assert answer.json()["fidelity"][0]["pixels"] == 1.0


async def test_a_mask_needs_something_that_is_kept(api):
    answer = await api.generate(png(), mask(), preserve_product="false")
    error = problem(answer, 400, "invalid_request")
    assert "product_mask" in error
    assert "preserve_product" in error


async def test_a_mask_must_be_a_file(api):
    answer = await api.generate(product_mask="white")
    assert problem(answer, 400, "invalid_request") == "product_mask must be a file"


async def test_a_mask_counts_towards_the_limits(tmp_path):
    limits = UploadLimits(max_pixels=48 * 32, max_body_bytes=4096)
    made = surface(tmp_path, IngressSettings(limits=limits))
    async with made.client:
        large = mask(np.zeros((33, 48), np.uint8))
        assert "product_mask: the picture has 1,584 pixels" in problem(
            await made.generate(png(), large), 400, "invalid_image"
        )
        noise = np.random.default_rng(0).integers(0, 256, (64, 96), np.uint8)
        problem(await made.generate(png(), mask(noise)), 413, "body_too_large")


async def test_a_mask_has_the_size_of_the_upright_photo(api):
    file = BytesIO()
    exif = piexif.dump({"0th": {piexif.ImageIFD.Orientation: 6}})
    Image.open(BytesIO(png(32, 48))).save(file, "PNG", exif=exif)
    assert (await api.generate(file.getvalue(), mask(), num_images=1)).status_code == 200
    problem(await api.generate(file.getvalue(), mask(SQUARE.T)), 400, "invalid_request")


async def test_transparency_marks_the_product(api):
    colours = np.asarray(Image.open(BytesIO(png(product=None))))
    cut_out = np.dstack([colours, np.where(SQUARE > 0, 255, 0).astype(np.uint8)])
    file = BytesIO()
    Image.fromarray(cut_out).save(file, "PNG")
    body = (await api.generate(file.getvalue(), num_images=1, seed=2)).json()
    result = await image(api, body["images"][0])
    assert np.array_equal(result[SQUARE > 0], colours[SQUARE > 0])
    assert np.unique(result[SQUARE == 0]).tolist() == [2]


@pytest.mark.parametrize(
    ("value", "kept"),
    [("auto", True), ("true", True), (True, True), ("false", False), (False, False)],
)
async def test_json_has_booleans_too(api, value, kept):
    url = (await api.generate(num_images=1)).json()["images"][0]
    answer = await api.vary(url, num_images=1, preserve_product=value)
    assert answer.status_code == 200, answer.json()
    assert (answer.json()["fidelity"][0] is not None) is kept


@pytest.mark.parametrize("value", ["yes", "True", "", 1, 0, [True]])
async def test_another_value_is_refused(api, value):
    sentence = "preserve_product must be 'auto', 'true' or 'false'"
    answer = await api.vary(f"/generated/{'0' * 32}.png", preserve_product=value)
    assert problem(answer, 400, "invalid_request") == sentence
    if isinstance(value, str) and value:  # a form has no other types, and takes empty for absent
        answer = await api.generate(preserve_product=value)
        assert problem(answer, 400, "invalid_request") == sentence


async def test_a_variation_takes_no_mask(api):
    answer = await api.vary(f"/generated/{'0' * 32}.png", product_mask="x")
    assert "unknown field: product_mask" in problem(answer, 400, "invalid_request")


async def test_fidelity_is_in_events_recipe_and_file(api):
    answer = await api.client.post(
        "/api/generate",
        data={"prompt": "p", "model": "stable-diffusion", "num_images": "1"},
        files={"image": ("a.png", png())},
        headers={"Accept": "text/event-stream"},
    )
    seen = dict(events(answer.text))
    fidelity = seen["image"]["fidelity"]
    assert set(fidelity) == {"pixels", "shape"}
    assert seen["done"]["fidelity"] == [fidelity]
    assert api.results.records.load_recipe(key_of(seen["image"]["url"]))["fidelity"] == fidelity
    file = Image.open(BytesIO((await api.client.get(seen["image"]["url"])).content))
    assert json.loads(file.info["backdrop:fidelity"]) == fidelity


async def test_results_are_no_larger_than_configured(tmp_path):
    made = surface(tmp_path, studio=StudioSettings(max_output_side=128))
    async with made.client:
        body = (await made.generate(png(300, 150), num_images=1)).json()
        result = await image(made, body["images"][0])
        assert result.shape == (64, 128, 3)
        assert body["fidelity"][0]["pixels"] == 1.0
        again = (await made.vary(body["images"][0], num_images=1)).json()
        assert again["fidelity"][0]["pixels"] == 1.0
        assert (await image(made, again["images"][0])).shape == (64, 128, 3)
