"""The clients that people have, against a real service: OpenAI's packages, LiteLLM, Open WebUI."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from PIL import Image

from tests.npm import unavailable
from tests.serve.conftest import KEY, Cluster, free_port, wait_until_up
from tests.serve.test_examples import PHOTO

NODE_PACKAGE = "openai@6.49.0"
LITELLM = "litellm[proxy]==1.108.7"
MODEL = "stable-diffusion"

if "CI" in os.environ:
    import openai
else:
    openai = pytest.importorskip("openai")


@pytest.fixture
def client(cluster: Cluster) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{cluster.url}/v1", api_key="none", max_retries=0) as made:
        yield made


def picture(encoded: str) -> Image.Image:
    image = Image.open(BytesIO(base64.b64decode(encoded)))
    image.load()
    return image


def half_kept() -> bytes:
    """A mask for `PHOTO`: its left half is opaque, and so is kept."""
    with Image.open(PHOTO) as photo:
        mask = Image.new("RGBA", photo.size)
    mask.paste((0, 0, 0, 255), (0, 0, mask.width // 2, mask.height))
    buffer = BytesIO()
    mask.save(buffer, "PNG")
    return buffer.getvalue()


def same_as_the_photo(image: Image.Image, box: tuple[int, int, int, int]) -> bool:
    with Image.open(PHOTO) as photo:
        return image.crop(box).tobytes() == photo.convert("RGB").crop(box).tobytes()


def test_models(client: openai.OpenAI) -> None:
    assert MODEL in [model.id for model in client.models.list()]
    assert client.models.retrieve(MODEL).object == "model"
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("gpt-image-2")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


def test_edits(client: openai.OpenAI) -> None:
    made = client.images.edit(
        image=Path(PHOTO), prompt="Beach", model=MODEL, n=2, extra_body={"seed": 5, "steps": 4}
    )
    assert [image.seed for image in made.data] == [5, 6]
    assert {picture(image.b64_json).size for image in made.data} == {(600, 400)}
    assert (made.size, made.output_format, made.background) == ("600x400", "png", "opaque")
    assert made.usage is None
    assert made.warnings == []


def test_what_is_transparent_in_a_mask_changes(client: openai.OpenAI) -> None:
    made = client.images.edit(
        image=[Path(PHOTO)], mask=("mask.png", half_kept()), prompt="Beach", model=MODEL
    )
    image = picture(made.data[0].b64_json)
    assert same_as_the_photo(image, (0, 0, 290, 400))
    assert not same_as_the_photo(image, (310, 0, 600, 400))


def test_urls(client: openai.OpenAI) -> None:
    made = client.images.edit(
        image=Path(PHOTO),
        prompt="Beach",
        model=MODEL,
        response_format="url",
        output_format="webp",
        output_compression=60,
        background="transparent",
    )
    assert made.background == "transparent"
    assert httpx.get(made.data[0].url).headers["content-type"] == "image/webp"


async def test_events_come_as_images_are_done(cluster: Cluster) -> None:
    async with openai.AsyncOpenAI(base_url=f"{cluster.url}/v1", api_key="none") as client:
        stream = await client.images.edit(
            image=Path(PHOTO), prompt="Beach", model=MODEL, n=2, stream=True, partial_images=0
        )
        events = [event async for event in stream]
    assert [event.type for event in events] == ["image_edit.completed"] * 2
    assert sorted(event.index for event in events) == [0, 1]
    assert picture(events[0].b64_json).size == (600, 400)


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"n": 99}, "n"),
        ({"image": [Path(PHOTO)] * 2}, "image"),
        ({"model": "gpt-image-2"}, "model"),
        ({"complexity": "low"}, "complexity"),
        ({"svg": {"model": "gpt-5"}}, "svg[model]"),
        ({"extra_body": {"wings": 2}}, "wings"),
        ({"partial_images": 2, "stream": True}, "partial_images"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refusals_name_the_field(client: openai.OpenAI, asked: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.edit(**{"image": Path(PHOTO), "prompt": "x", "model": MODEL, **asked})
    assert caught.value.param == param
    assert caught.value.type == "invalid_request_error"
    assert caught.value.request_id == caught.value.body["request_id"]


def test_keys_are_bearer_tokens(cluster: Cluster) -> None:
    url = f"{cluster.url}/limited/v1"
    with openai.OpenAI(base_url=url, api_key=KEY, max_retries=0) as client:
        assert [model.id for model in client.models.list()] == [MODEL]
        with pytest.raises(openai.APIStatusError) as large:
            client.images.edit(image=("photo.png", b"a" * 70_000), prompt="x")
        assert large.value.status_code == 413
        assert large.value.code == "body_too_large"
    with openai.OpenAI(base_url=url, api_key="wrong", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError) as caught:
            client.images.edit(image=Path(PHOTO), prompt="x")
        assert caught.value.code == "unauthorized"


def test_the_package_for_node(cluster: Cluster, pytestconfig: pytest.Config) -> None:
    folder = pytestconfig.rootpath / ".pytest_cache" / NODE_PACKAGE.replace("@", "-")
    if not (folder / "node_modules" / "openai" / "package.json").exists():
        if shutil.which("npm") is None:
            unavailable("npm is not installed")
        folder.mkdir(parents=True, exist_ok=True)
        install = ["npm", "install", "--no-audit", "--no-fund", "--prefix", folder, NODE_PACKAGE]
        done = subprocess.run(install, cwd=folder, capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            unavailable(f"{NODE_PACKAGE} cannot be fetched: {done.stderr.strip()[-300:]}")
    # Node.js looks for packages beside the program.
    program = Path(shutil.copy(Path(__file__).parent / "openai_client.mjs", folder))
    command = ["node", program, cluster.url, PHOTO]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "done\n"


@pytest.fixture(scope="module")
def litellm(pytestconfig: pytest.Config) -> Path:
    """LiteLLM's program, in an environment of its own: it has no say in the versions of ours."""
    name = "".join(letter if letter.isalnum() or letter == "." else "-" for letter in LITELLM)
    folder = pytestconfig.rootpath / ".pytest_cache" / name
    whole = folder / "whole"
    if not whole.exists():
        make = [sys._base_executable, "-m", "venv", "--clear", folder]
        subprocess.run(make, check=True, capture_output=True, timeout=300)
        install = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", LITELLM]
        done = subprocess.run(install, capture_output=True, text=True, timeout=900)
        if done.returncode != 0:
            unavailable(f"{LITELLM} cannot be installed: {done.stderr.strip()[-300:]}")
        whole.touch()
    return folder / "bin" / "litellm"


def test_litellms_proxy(cluster: Cluster, litellm: Path, tmp_path: Path) -> None:
    port = free_port()
    ours = {"model": f"openai/{MODEL}", "api_base": f"{cluster.url}/v1", "api_key": "none"}
    config = tmp_path / "litellm.yaml"
    config.write_text(
        yaml.safe_dump(
            {
                "model_list": [{"model_name": "shop", "litellm_params": ours}],
                "general_settings": {"master_key": "sk-litellm"},
            }
        )
    )
    command = [litellm, "--config", config, "--host", "127.0.0.1", "--port", str(port)]
    environment = {
        **os.environ,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_TELEMETRY": "False",
    }
    url = f"http://127.0.0.1:{port}"
    with (tmp_path / "log").open("w") as log:
        proxy = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=tmp_path)
    try:
        with httpx.Client(base_url=url) as plain:
            wait_until_up(plain, "/health/liveliness")
        with openai.OpenAI(base_url=f"{url}/v1", api_key="sk-litellm", max_retries=0) as client:
            made = client.images.edit(
                image=Path(PHOTO),
                mask=("mask.png", half_kept()),
                prompt="Beach",
                model="shop",
                n=2,
                extra_body={"seed": 5},
            )
            assert len(made.data) == 2
            assert same_as_the_photo(picture(made.data[0].b64_json), (0, 0, 290, 400))
            with pytest.raises(openai.BadRequestError, match="n must be less than"):
                client.images.edit(image=Path(PHOTO), prompt="x", model="shop", n=99)
    finally:
        proxy.kill()
        proxy.wait()


@pytest.mark.parametrize("field", ["image", "image[]"])
def test_open_webuis_edit(cluster: Cluster, field: str) -> None:
    """Its form: one picture or a list of them, all else as text, and maybe an API version."""
    name = f"{uuid.uuid4()}.png"
    answer = cluster.client.post(
        "/v1/images/edits?api-version=2025-04-01-preview",
        headers={"Authorization": "Bearer none"},
        data={
            "model": MODEL,
            "prompt": "Beach",
            "n": "1",
            "size": "96x64",
            "background": "auto",
            "response_format": "b64_json",
        },
        files={field: (name, Path(PHOTO).read_bytes(), "image/png")},
    )
    assert answer.status_code == 200, answer.text
    (image,) = answer.json()["data"]
    assert image.get("url") is None
    assert picture(image["b64_json"]).size == (96, 64)


def test_open_webuis_generation_is_told_what_to_do(cluster: Cluster) -> None:
    answer = cluster.client.post(
        "/v1/images/generations",
        json={"model": MODEL, "prompt": "Beach", "n": 1, "response_format": "b64_json"},
    )
    assert answer.status_code == 400
    assert "/v1/images/edits" in answer.json()["error"]["message"]
