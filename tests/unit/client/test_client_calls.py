"""Both Python clients against the real ingress over HTTP: every method, every kind of failure."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from PIL import Image as PillowImage

from deployments import client as client_module
from deployments.client import (
    AsyncBackdrop,
    Backdrop,
    BackdropError,
    Busy,
    Conflict,
    Done,
    Image,
    JobCancelled,
    NotFound,
    Progress,
    RequestRefused,
    Unauthorized,
    Unreachable,
    Waiting,
)
from deployments.ingress.core import idempotency
from deployments.ingress.core.background import work
from deployments.ingress.http.api_keys import KeyRing
from deployments.settings import IngressSettings
from tests.unit.client.served import Caller, caller, served
from tests.unit.ingress.background import at_work, settings
from tests.unit.ingress.memory import Surface, png, surface

ASKED = {"prompt": "Perfume backdrop", "model": "stable-diffusion"}


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(idempotency, "POLL_S", 0.005)
    monkeypatch.setattr(work, "PUT_OFF_S", 0.05)


@pytest.fixture
def api(tmp_path) -> Surface:
    return surface(tmp_path, settings())


@pytest.fixture(params=["sync", "async"])
async def call(request, api):
    async with served(api.app) as url:
        made = caller(request.param, url)
        yield made
        await made.close()


async def test_the_catalog_is_read(call: Caller):
    catalog = await call("catalog")
    assert [model.id for model in catalog.models] == ["stable-diffusion", "controlnet"]
    assert catalog.models[0].defaults["steps"] == 4
    assert catalog.models[0].available
    assert catalog.presets[0].fields["background"] == "#FFFFFF"
    assert catalog.limits["max_images"] == 8
    assert await call("models") == catalog.models


async def test_images_are_made_varied_saved_and_deleted(call: Caller, tmp_path):
    photo = tmp_path / "mug.png"
    photo.write_bytes(png())
    made = await call("generate", photo, num_images=2, seed=7, **ASKED)
    assert (made.seeds, made.model_used, made.withheld) == ([7, 8], "stable-diffusion", [])
    assert made.fidelity[0].pixels == 1.0
    assert (made.details[0].width, made.details[0].media_type) == (48, "image/png")
    varied = await call("variation", made.images[0], **{**ASKED, "model": "controlnet"})
    assert (len(varied.images), varied.model_used) == (4, "controlnet")
    saved = await call("save", varied.images[0], tmp_path / "made.png")
    assert saved.read_bytes() == await call("download", varied.images[0])
    with PillowImage.open(saved) as picture:
        assert picture.size == (48, 32)
    # Whatever host the URL names, it is asked of this service.
    elsewhere = f"https://cdn.example/{varied.images[0].partition('/generated/')[2]}"
    with pytest.raises(ValueError, match="URL of an image"):
        await call("download", elsewhere)
    elsewhere = f"https://cdn.example/generated/{varied.images[0].rpartition('/')[2]}"
    assert (await call("download", elsewhere, width=128))[:4] == b"RIFF"
    await call("delete", varied.images[0])
    with pytest.raises(NotFound):
        await call("download", varied.images[0])
    assert not list(tmp_path.glob("*.part"))


async def test_a_variation_with_a_picture_is_a_form(call: Caller):
    made = await call("generate", png(), num_images=1, **ASKED)
    picture = png(product=None)
    varied = await call("variation", made.images[0], background="image", background_image=picture)
    assert (varied.model_used, varied.seeds) == ("none", [None])


async def test_recipes_are_read_listed_and_make_the_image_again(call: Caller):
    photo = png()
    made = await call("generate", photo, num_images=2, steps=3, aspect_ratio="1:1", **ASKED)
    recipe = await call("recipe", made.images[1])
    assert (recipe.url, recipe.made_from) == (made.images[1], "upload")
    assert (recipe.fidelity, recipe.fields["steps"]) == (made.fidelity[1], 3)
    again = await call("generate", photo, **recipe.fields)
    assert (again.seeds, len(again.images)) == (made.seeds[1:], 1)
    page = await call("results", limit=2)
    assert page.results[0].url == again.images[0]
    rest = await call("results", cursor=page.cursor)
    assert (len(rest.results), rest.cursor) == (1, None)


async def test_events_come_in_order(call: Caller, api):
    events = await call("generate_events", png(), num_images=2, **ASKED)
    assert isinstance(events[0], Waiting)
    assert isinstance(events[-1], Done)
    images = [event for event in events if isinstance(event, Image)]
    assert sorted(image.url for image in images) == sorted(events[-1].result.images)
    assert {event.steps for event in events if isinstance(event, Progress)} == {3}
    # One seed was chosen for both, so that a repeat makes the same.
    seeds = [job.settings.seed for job in api.models.jobs]
    assert abs(seeds[0] - seeds[1]) == 1


async def test_a_product_is_cut_out_and_kept(call: Caller):
    cut = await call("cutout", image=png())
    assert (cut.width, cut.box.left) == (48, 16)
    assert (await call("download", cut.mask_url))[:4] == b"\x89PNG"
    again = await call("cutout", cutout=cut.cutout, point="0.5,0.5")
    made = await call("generate", cutout=again.cutout, num_images=1, **ASKED)
    assert made.fidelity[0] is not None


async def test_a_job_is_submitted_followed_listed_and_done(call: Caller, api):
    job = await call("submit", png(), num_images=2, preserve_product=True, **ASKED)
    assert (job.state, job.place, job.answer) == ("waiting", 1, None)
    async with at_work(api):
        events = await call("follow", job.id)
    assert isinstance(events[-1], Done)
    done = await call("job", job.id)
    assert (done.state, done.answer) == ("done", events[-1].result)
    assert await call("resume", job.id) == done.answer
    assert await call("follow", job.id, last_event_id=99) == []
    page = await call("jobs", limit=1)
    assert ([listed.id for listed in page.jobs], page.cursor) == ([job.id], None)
    varied = await call("submit", image_url=done.answer.images[0], **ASKED)
    assert varied.num_images == 4
    assert (await call("jobs", limit=1)).cursor is not None


async def test_a_cancelled_job_is_told(call: Caller):
    job = await call("submit", png(), **ASKED)
    assert (await call("cancel", job.id)).state == "cancelled"
    with pytest.raises(JobCancelled):
        await call("resume", job.id)


async def test_a_failed_job_is_an_error_of_its_kind(call: Caller, api):
    job = await call("submit", png(product=None), preserve_product="true", **ASKED)
    async with at_work(api):
        with pytest.raises(RequestRefused) as caught:
            await call("resume", job.id)
    assert caught.value.code == "product_not_found"
    assert (await call("job", job.id)).failure.status == 400


async def test_the_same_key_is_the_same_job_and_another_body_a_conflict(call: Caller):
    one = await call("submit", png(), idempotency_key="mug", **ASKED)
    assert (await call("submit", png(), idempotency_key="mug", **ASKED)).id == one.id
    with pytest.raises(Conflict) as caught:
        await call("submit", png(), idempotency_key="mug", steps=2, **ASKED)
    assert (caught.value.code, caught.value.status) == ("idempotency_conflict", 409)


async def test_refusals_say_what_is_wrong(call: Caller, tmp_path):
    with pytest.raises(RequestRefused, match="nothing") as caught:
        await call("generate", png(), prompt="Beach", model="nothing")
    assert (caught.value.code, caught.value.status) == ("unknown_model", 400)
    assert caught.value.request_id
    assert caught.value.retry_after is None
    with pytest.raises(NotFound):
        await call("job", "0" * 32)
    with pytest.raises(ValueError, match="id of a job"):
        await call("job", "../models")
    with pytest.raises(OSError, match="gone"):
        await call("generate", tmp_path / "gone.png", **ASKED)


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_key_is_sent_and_the_rates_are_known(kind, tmp_path):
    ring = KeyRing({"shop": "secret-key"})
    rates = IngressSettings(max_images=4, rates={"images_per_minute": 4})
    api = surface(tmp_path, rates, keys=ring)
    async with served(api.app) as url:
        stranger = caller(kind, url)
        with pytest.raises(Unauthorized):
            await stranger("models")
        await stranger.close()
        call = caller(kind, url, api_key="secret-key")
        await call("generate", png(), num_images=3, **ASKED)
        assert call.client.rates["images"].left == 1
        assert call.client.pause_s(images=1) == 0
        assert 0 < call.client.pause_s(images=2) <= 60
        with pytest.raises(Busy) as caught:
            await call("generate", png(), num_images=2, **ASKED)
        assert caught.value.code == "rate_limited"
        assert caught.value.retry_after > 0
        await call.close()


async def test_the_async_client_takes_any_httpx_client(api):
    transport = httpx.ASGITransport(api.app)
    async with (
        httpx.AsyncClient(transport=transport) as http,
        AsyncBackdrop("http://shop.test/", http=http) as backdrop,
    ):
        made = await asyncio.gather(
            *(backdrop.generate(png(), num_images=1, seed=seed, **ASKED) for seed in (1, 2))
        )
    assert [result.seeds for result in made] == [[1], [2]]


async def test_the_ordinary_client_closes_what_is_its_own(api):
    with httpx.Client() as http:
        with Backdrop(http=http):
            pass
        assert not http.is_closed
    with Backdrop() as backdrop:
        pass
    assert backdrop._http.is_closed


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_service_that_is_down_is_told(kind, unused_tcp_port):
    call = caller(kind, f"http://127.0.0.1:{unused_tcp_port}", retries=0)
    with pytest.raises(Unreachable) as caught:
        await call("models")
    assert (caught.value.code, caught.value.status) == ("network", 0)
    await call.close()


@pytest.mark.parametrize(
    ("url", "key"), [("127.0.0.1:8000", None), ("ftp://x", None), ("http://x", "a\nb")]
)
def test_what_cannot_work_is_refused_at_once(url, key):
    with pytest.raises(ValueError, match="must be"):
        Backdrop(url, api_key=key)


def test_errors_are_one_tree():
    error = Busy("no room", "overloaded", 429, "id", 3.0)
    assert isinstance(error, BackdropError)
    assert str(error) == "no room"


def test_the_file_works_alone(tmp_path):
    """A copy of the file, with nothing of this package to be found."""
    (tmp_path / "backdrop_client.py").write_bytes(Path(client_module.__file__).read_bytes())
    script = "import sys, backdrop_client; print(sorted(n for n in sys.modules if 'deploym' in n))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env={}, capture_output=True, text=True
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
