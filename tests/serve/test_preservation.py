"""The product stays the product: over HTTP, on a real Ray, with the demo weights."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest
from PIL import Image

from tests.serve.conftest import Cluster

COFFEE = (Path(__file__).parents[2] / "deployments/samples/coffee.png").read_bytes()
PHOTO = np.asarray(Image.open(BytesIO(COFFEE)).convert("RGB"))


@dataclass
class Service:
    """The running service.

    Attributes:
        client: Speaks to it.
        data: The folder of its store.
        pid: The process that started it all.
    """

    client: httpx.Client
    data: Path
    pid: int

    def generate(self, photo: bytes = COFFEE, mask: bytes | None = None, **fields: object):
        data = {"prompt": "Tropical beach", "model": "demo", "num_images": "1"}
        data.update({name: str(value) for name, value in fields.items()})
        files = {"image": ("photo.png", photo)}
        if mask is not None:
            files["product_mask"] = ("mask.png", mask)
        return self.client.post("/api/generate", data=data, files=files)

    def vary(self, url: str, **fields: object) -> httpx.Response:
        body = {"image_url": url, "prompt": "Change background to forest", "model": "demo"}
        return self.client.post("/api/variation", json={**body, "num_images": 1, **fields})

    def pixels(self, url: str) -> np.ndarray:
        answer = self.client.get(url)
        assert answer.status_code == 200, answer.text
        return np.asarray(Image.open(BytesIO(answer.content)))

    def names(self) -> list[str]:
        """What is stored."""
        files = (path.relative_to(self.data) for path in self.data.rglob("*") if path.is_file())
        return sorted(str(file) for file in files)

    def product(self, url: str) -> tuple[Path, np.ndarray]:
        """The stored product of a result."""
        recipe = json.loads(next(self.data.rglob(f"{key_of(url)}.json")).read_text())
        (path,) = (self.data / "masks").rglob(f"{recipe['mask_key']}.png")
        return path, np.asarray(Image.open(path))


def key_of(url: str) -> str:
    return url.rsplit("/", 1)[1].removesuffix(".png")


def png(pixels: np.ndarray) -> bytes:
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def service(cluster: Cluster) -> Service:
    return Service(cluster.client, cluster.data, cluster.pid)


def test_ten_turns_never_change_the_product(service):
    answer = service.generate(seed=1).json()
    (url,) = answer["images"]
    path, product = service.product(url)
    opaque = product[..., 3] == 255
    clear = product[..., 3] == 0
    # There is a product, and it is not all there is.
    assert 0.1 < opaque.mean() < 0.9
    backgrounds = []
    for turn in range(11):
        assert answer["fidelity"][0]["pixels"] == 1.0, answer
        assert answer["warnings"] == []
        result = service.pixels(url)
        assert result.shape == PHOTO.shape
        assert np.array_equal(result[opaque], PHOTO[opaque])
        backgrounds.append(result[clear])
        assert service.product(url)[0] == path
        if turn < 10:
            answer = service.vary(url, seed=turn).json()
            (url,) = answer["images"]
    for before, after in pairwise(backgrounds):
        assert np.abs(before.astype(int) - after).mean() > 1
    assert sorted(name.split("/")[0] for name in service.names() if path.stem in name) == [
        "masks", *["references"] * 11, "sources",
    ]  # fmt: skip


def test_a_cut_out_is_shown_corrected_and_kept(service):
    """From a search to a correction, images, and the end of all that was stored for them."""
    before = service.names()
    found = service.client.post("/api/cutout", files={"image": ("photo.png", COFFEE)})
    assert found.status_code == 200, found.text
    assert (found.json()["width"], found.json()["height"]) == PHOTO.shape[1::-1]
    stroke = np.zeros(PHOTO.shape[:2], np.uint8)
    stroke[:20] = 255
    answer = service.client.post(
        "/api/cutout",
        data={"cutout": found.json()["cutout"], "point": "0.5,0.5"},
        files={"remove": ("remove.png", png(stroke))},
    )
    assert answer.status_code == 200, answer.text
    body = answer.json()
    image, mask = service.pixels(body["image_url"]), service.pixels(body["mask_url"])
    assert np.array_equal(image[..., 3], mask)
    assert (mask[:20] == 0).all()
    opaque = mask == 255
    assert np.array_equal(image[opaque][:, :3], PHOTO[opaque])

    fields = {"prompt": "Beach", "model": "demo", "num_images": "1", "cutout": body["cutout"]}
    form = {name: (None, value) for name, value in fields.items()}
    made = service.client.post("/api/generate", files=form)
    assert made.status_code == 200, made.text
    (url,) = made.json()["images"]
    assert np.array_equal(service.pixels(url)[opaque], PHOTO[opaque])
    assert service.product(url)[0].stem == body["cutout"]
    assert service.client.delete(body["image_url"]).status_code == 204
    assert service.client.get(body["mask_url"]).status_code == 404
    varied = service.vary(url).json()["images"]
    assert np.array_equal(service.pixels(varied[0])[opaque], PHOTO[opaque])
    for address in (found.json()["image_url"], url, *varied):
        assert service.client.delete(address).status_code == 204
    assert service.names() == before


def test_a_mask_says_what_is_kept(service):
    marked = np.zeros(PHOTO.shape[:2], np.uint8)
    marked[100:300, 50:200] = 255
    answer = service.generate(mask=png(marked), preserve_product="true")
    assert answer.status_code == 200, answer.text
    result = service.pixels(answer.json()["images"][0])
    inside = (slice(120, 280), slice(70, 180))
    assert np.array_equal(result[inside], PHOTO[inside])
    small = service.generate(mask=png(marked[::2, ::2]))
    assert small.status_code == 400
    assert (
        "product_mask: the mask is 300 x 200 pixels, the photo 600 x 400" in small.json()["error"]
    )


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
def test_a_product_that_must_be_kept_and_is_not_found(service, accept):
    before = service.names()
    answer = service.client.post(
        "/api/generate",
        data={"prompt": "p", "model": "demo", "preserve_product": "true"},
        files={"image": ("a.png", png(np.full((96, 128, 3), 180, np.uint8)))},
        headers={"Accept": accept},
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "product_not_found")
    assert "product_mask" in answer.json()["error"]
    assert service.names() == before


def test_without_a_product_the_answer_says_so(service):
    answer = service.generate(png(np.full((96, 128, 3), 180, np.uint8))).json()
    assert answer["fidelity"] == [None]
    assert "no product was found" in answer["warnings"][0]


def test_events_tell_fidelity(service):
    with service.client.stream(
        "POST",
        "/api/generate",
        data={"prompt": "p", "model": "demo", "num_images": "2"},
        files={"image": ("a.png", COFFEE)},
        headers={"Accept": "text/event-stream"},
    ) as answer:
        data = [line[6:] for line in answer.iter_lines() if line.startswith("data: ")]
    images = [event for event in map(json.loads, data) if "url" in event]
    assert [event["fidelity"]["pixels"] for event in images] == [1.0, 1.0]


def test_a_product_that_is_no_longer_stored_is_named(service):
    (url,) = service.generate().json()["images"]
    path, _ = service.product(url)
    path.unlink()
    answer = service.vary(url)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert "product" in answer.json()["error"]
    assert "preserve_product=false" in answer.json()["error"]
    assert service.vary(url, preserve_product=False).status_code == 200


def test_what_was_made_can_be_deleted(service):
    before = service.names()
    one, two = service.generate(num_images=2).json()["images"]
    (turned,) = service.vary(one).json()["images"]
    path, product = service.product(one)
    for url in (one, two):
        answer = service.client.delete(url)
        assert (answer.status_code, answer.content) == (204, b"")
        assert service.client.get(url).status_code == 404
        assert service.client.delete(url).status_code == 404
        assert service.vary(url).status_code == 404
    assert path.exists()
    (again,) = service.vary(turned).json()["images"]
    opaque = product[..., 3] == 255
    assert np.array_equal(service.pixels(again)[opaque], PHOTO[opaque])
    for url in (again, turned):
        assert service.client.delete(url).status_code == 204
    assert service.names() == before


def metrics(service: Service) -> str:
    """What Ray exports, at whichever of its ports."""
    found = ""
    for process in psutil.Process(service.pid).children(recursive=True):
        with suppress(psutil.Error):
            for connection in process.net_connections("tcp"):
                if connection.status == psutil.CONN_LISTEN:
                    with suppress(httpx.HTTPError, UnicodeDecodeError):
                        url = f"http://127.0.0.1:{connection.laddr.port}/metrics"
                        found += httpx.get(url, timeout=1).text
    return found


def test_fidelity_is_a_metric(service):
    (fidelity,) = service.generate().json()["fidelity"]
    assert 0 < fidelity["shape"] <= 1
    wanted = {f"ray_backdrop_fidelity_{name}_count" for name in ("pixels", "shape")}
    deadline = time.monotonic() + 60
    while True:  # replicas report every few seconds
        lines = [line for line in metrics(service).splitlines() if "backdrop_fidelity" in line]
        if wanted <= {line.split("{")[0] for line in lines if 'model="demo"' in line}:
            break
        assert time.monotonic() < deadline, lines
        time.sleep(1)
