"""Clients that generators make of /openapi.json call every route of a real service."""

from __future__ import annotations

import json
import shutil
import subprocess
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.documents import ROOT
from tests.generated_clients import (
    OPENAPI_TS,
    module_of,
    operations,
    python_client,
    typescript_client,
)
from tests.npm import installed
from tests.serve.conftest import Cluster, wait_until_up

PHOTO = ROOT / "deployments" / "samples" / "coffee.png"


@pytest.fixture
def document(cluster: Cluster) -> dict[str, Any]:
    # The demo is the default model, and loads last.
    wait_until_up(cluster.client, "/api/ready")
    return cluster.client.get("/openapi.json").json()


def key_of(url: str) -> str:
    return url.rpartition("/")[2].partition(".")[0]


def test_the_python_client_calls_every_route(
    cluster: Cluster,
    document: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    python_client(document, tmp_path, "backdrop_made")
    monkeypatch.syspath_prepend(tmp_path)
    import backdrop_made
    from backdrop_made import models, types

    address = document["servers"][0]["url"]
    assert address == cluster.url
    client = backdrop_made.Client(base_url=address, timeout=120)
    request.addfinalizer(client.get_httpx_client().close)
    called = set()

    def call(operation: str, *path: str, **arguments: Any) -> Any:
        tag = operations(document)[operation]
        made = module_of("backdrop_made", tag, operation)
        answer = made.sync_detailed(*path, client=client, **arguments)
        assert answer.status_code in (200, 202, 204), (operation, answer.content)
        called.add(operation)
        return answer.parsed

    def photo() -> Any:
        return types.File(BytesIO(PHOTO.read_bytes()), "photo.png", "image/png")

    assert call("get_readiness").ready is True
    listed = call("list_models")
    assert [model.id for model in listed.models if model.available] == [
        "demo", "stable-diffusion", "controlnet",
    ]  # fmt: skip
    urls = {}
    for name in ("png", "jpeg", "webp"):
        form = models.GenerateForm(
            image=photo(),
            prompt="Perfume backdrop",
            model=models.GenerateFormModel("stable-diffusion"),
            num_images=1,
            steps=3,
            output_format=models.GenerateFormOutputFormat(name),
        )
        urls[name] = call("generate_images", body=form).images[0]
    later = models.GenerateForm(
        image=photo(),
        prompt="Perfume backdrop",
        model=models.GenerateFormModel("stable-diffusion"),
        num_images=1,
    )
    job = call("generate_images", body=later, prefer="respond-async")
    assert call("get_job", job.id).id == job.id
    assert job.id in [listed.id for listed in call("list_jobs").jobs]
    assert call("cancel_job", job.id).state in ("cancelled", "done")
    varied = models.VariationBody(
        image_url=urls["png"],
        prompt="Change background to forest",
        model=models.VariationBodyModel("controlnet"),
        num_images=1,
        preserve_product=False,
    )
    assert len(call("vary_image", body=varied, idempotency_key="made").seeds) == 1
    as_form = models.VariationForm(
        image_url=urls["png"],
        background="image",
        background_image=photo(),
        # The generator sends every default of the document, and here only one image is made.
        num_images=1,
    )
    assert call("vary_image", body=as_form).model_used == "none"
    assert "stable-diffusion" in [model.id for model in call("openai_list_models").data]
    assert call("openai_get_model", "controlnet").id == "controlnet"
    for operation in ("openai_edit_image", "openai_vary_image"):
        edit = models.EditForm(
            image=photo(),
            prompt="Perfume backdrop",
            model=models.EditFormModel("stable-diffusion"),
            steps=3,
        )
        assert len(call(operation, body=edit).data) == 1
    cut = call("cut_out_product", body=models.CutOutForm(image=photo()))
    again = call("cut_out_product", body=models.CutOutBody(cutout=cut.cutout, point="0.5,0.4"))
    assert again.width == cut.width
    key = key_of(cut.image_url)
    assert len(call("list_results", limit=3).results) == 3
    told = call("get_recipe", key_of(urls["jpeg"]))
    assert (told.media_type, told.fields.prompt) == ("image/jpeg", "Perfume backdrop")

    def opened(file: Any) -> Image.Image:
        image = Image.open(BytesIO(file.payload.read()))
        image.load()
        return image

    tile = opened(call("get_png", key_of(urls["png"]), width=models.GetPngWidth(128)))
    assert (tile.width, tile.format) == (128, "WEBP")
    assert opened(call("get_jpg", key_of(urls["jpeg"]))).format == "JPEG"
    assert opened(call("get_webp", key_of(urls["webp"]))).format == "WEBP"
    assert opened(call("get_cutout", key)).mode == "RGBA"
    assert opened(call("get_cutout_mask", cut.cutout)).mode == "L"
    call("delete_cutout", key)
    call("delete_png", key_of(urls["png"]))
    call("delete_jpg", key_of(urls["jpeg"]))
    call("delete_webp", key_of(urls["webp"]))
    assert called == set(operations(document))

    refused = module_of("backdrop_made", "images", "generate_images").sync(
        client=client, body=models.GenerateForm(prompt="forest")
    )
    assert isinstance(refused, models.ErrorAnswer)
    assert refused.error == "model is required; image is required"


def test_the_typescript_client_calls_every_route(
    cluster: Cluster, document: dict[str, Any], pytestconfig: pytest.Config, tmp_path: Path
) -> None:
    npm = installed(pytestconfig, *OPENAPI_TS)
    typescript_client(document, npm, tmp_path)
    shutil.copy(Path(__file__).with_name("generated_client.mts"), tmp_path / "calls.mts")
    options = "--strict --skipLibCheck --target es2022 --module nodenext --types node"
    compiler = npm / "node_modules" / ".bin" / "tsc"
    run(tmp_path, compiler, *options.split(), "calls.mts")
    told = json.loads(run(tmp_path, "node", "calls.mjs", PHOTO))
    assert told["base"] == cluster.url
    snake = {
        "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
        for name in told["called"]
    }
    assert snake == set(operations(document))


def run(folder: Path, *command: str | Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
