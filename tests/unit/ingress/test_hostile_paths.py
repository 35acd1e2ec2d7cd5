"""Paths and URLs that try to read something else than a result: none does."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from tests.unit.ingress.memory import Surface, surface

SECRET = "root:x:0:0"  # noqa: S105 - what no answer may hold
KEY = "0" * 32

PATHS = [
    "/generated/../../etc/passwd",
    "/generated/../secret.png",
    "/generated/..%2fsecret.png",
    "/generated/..%2Fsecret.png",
    "/generated/%2e%2e/secret.png",
    "/generated/%2e%2e%2fsecret.png",
    "/generated/..%252fsecret.png",
    "/generated/%252e%252e%252fsecret.png",
    "/generated/..%c0%afsecret.png",
    "/generated/..%ef%bc%8fsecret.png",
    "/generated/..\\secret.png",
    "/generated/..%5csecret.png",
    "/generated/....//secret.png",
    "/generated/./secret.png",
    "/generated//secret.png",
    "/generated///etc/passwd",
    "/generated/%2fetc%2fpasswd",
    "/generated/%2fetc%2fpasswd.png",
    "/generated/file:%2f%2f%2fetc%2fpasswd.png",
    "/generated/secret.png",
    "/generated/secret",
    "/generated/secret.json",
    "/generated/{key}",
    "/generated/{key}.png.json",
    "/generated/{key}.png/",
    "/generated/{key}.png%00.json",
    "/generated/{key}%00.png",
    "/generated/{key}.png%0a",
    "/generated/{key}%0a.png",
    "/generated/{key};.png",
    "/generated/{key}.PNG",
    "/generated/{key}.png%20",
    "/generated/%20{key}.png",
    "/generated/{upper}.png",
    "/generated/{key}0.png",
    "/generated/{short}.png",
    "/generated/*.png",
    "/generated/?.png",
    "/generated/%3f.png",
    "/generated/{key}.png/../../secret.png",
    "/generated/..;/secret.png",
    "/generated/..%00/secret.png",
    "/generated/~/secret.png",
    "/generated/$HOME.png",
    "/generated/con.png",
    "/GENERATED/{key}.png",
    "//generated/{key}.png",
    "/generated/%D9%A0" + "0" * 31 + ".png",
    "/generated",
    "/generated/",
    "/sources/{key}.png",
    "/masks/{key}.png",
    "/recipes/{key}.json",
    "/data/secret.png",
    "/docs/assets/../../secret.png",
    "/docs/assets/..%2f..%2f..%2fetc/passwd",
    "/docs/assets/%2fetc%2fpasswd",
    "/docs/assets/..%5c..%5cetc%5cpasswd",
    "/playground/../secret.png",
    "/playground/..%2f..%2fetc%2fpasswd",
    "/playground/%2fetc%2fpasswd",
    "/playground/api.py",
    "/etc/passwd",
    "/..%2f..%2fetc%2fpasswd",
    "/.git/config",
    "/serve_config.yaml",
]
METHODS = ["GET", "HEAD", "DELETE"]

URLS = [
    "",
    " ",
    "/etc/passwd",
    "file:///etc/passwd",
    "file://localhost/etc/passwd",
    "http://127.0.0.1:22/",
    "http://169.254.169.254/latest/meta-data/",
    "http://[::ffff:169.254.169.254]/generated/{key}.png",
    "http://metadata.google.internal/generated/{key}.png",
    "http://evil.example/generated/{key}.png",
    "https://shop.test/generated/{key}.png",
    "http://shop.test:8080/generated/{key}.png",
    "http://shop.test.evil.example/generated/{key}.png",
    "http://shop.test@evil.example/generated/{key}.png",
    "http://user:pw@shop.test/generated/{key}.png",
    "http://evil.example#http://shop.test/generated/{key}.png",
    "http://evil.example?http://shop.test/generated/{key}.png",
    "http://evil.example\\@shop.test/generated/{key}.png",
    "http:/shop.test/generated/{key}.png",
    "http:shop.test/generated/{key}.png",
    "//shop.test/generated/{key}.png",
    "//evil.example/generated/{key}.png",
    "\\\\evil.example\\generated\\{key}.png",
    "http://shop.test//generated/{key}.png",
    "http://shop.test/x/../generated/{key}.png",
    "http://shop.test/generated/../generated/{key}.png",
    "http://shop.test/generated/{key}.png?x=1",
    "http://shop.test/generated/{key}.png#x",
    "http://shop.test/generated/{key}.png/",
    "http://shop.test/generated/{key}.png\n",
    " http://shop.test/generated/{key}.png",
    "http://shop.test/generated/{key}.png ",
    "http://shop.test/generated/%2e%2e/secret.png",
    "http://shop.test/generated/..%2fsecret.png",
    "http://shop.test/generated/../../etc/passwd",
    "http://shop.test/generated/../secret.png",
    "http://shop.test/generated/{key}.png\x00",
    "http://shop.test/generated/{key}%00.png",
    "http://shop.test/generated/{upper}.png",
    "http://shop.test/generated/{key}.json",
    "http://shop.test/sources/{key}.png",
    "http://shop.test/masks/{key}.png",
    "http://sh\u043ep.test/generated/{key}.png",
    "http://shop\u3002test/generated/{key}.png",
    "http://shop.test\u2215generated/{key}.png",
    "http://shop.test/generated/{key}.png,http://evil.example/x.png",
    "ftp://shop.test/generated/{key}.png",
    "gopher://shop.test:70/_x",
    "data:image/png;base64,AAAA",
    "javascript:alert(1)",
    "jar:http://shop.test!/generated/{key}.png",
    "{key}",
    "{key}.png",
    "generated/{key}.png",
    "./generated/{key}.png",
    "../generated/{key}.png",
]


@pytest.fixture
async def stored(tmp_path: Path) -> tuple[Surface, str]:
    """A service that holds one result, with secrets where a traversal would find them."""
    made = surface(tmp_path / "data")
    async with made.client:
        url = (await made.generate(num_images=1)).json()["images"][0]
        for folder in (tmp_path, tmp_path / "data", tmp_path / "data" / "generated"):
            for name in ("secret.png", "secret", "secret.json"):
                (folder / name).write_text(SECRET)
        yield made, url.rsplit("/", 1)[1].removesuffix(".png")


def filled(text: str, key: str) -> str:
    return text.replace("{key}", key).replace("{upper}", key.upper()).replace("{short}", key[:-1])


def raw(path: str) -> httpx.URL:
    """The path as it stands, which httpx would tidy up."""
    return httpx.URL("http://shop.test").copy_with(raw_path=path.encode())


@pytest.mark.parametrize("method", METHODS)
async def test_no_path_reads_or_removes_what_is_not_a_result(stored, method, tmp_path):
    made, key = stored
    assert len(PATHS) >= 40
    before = files(tmp_path)
    for form in PATHS:
        request = made.client.build_request(method, "/")
        request.url = raw(filled(form, key))
        answer = await made.client.send(request)
        assert answer.status_code in (400, 404, 405), form
        assert SECRET not in answer.text, form
        if method != "HEAD":
            assert set(answer.json()) == {"error", "code", "request_id"}, form
    assert files(tmp_path) == before


async def test_no_image_url_but_ours_is_read(stored, monkeypatch):
    made, key = stored

    async def no_connection(*args: object, **kwargs: object) -> None:
        pytest.fail("an image_url was fetched")

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", no_connection)
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", no_connection)
    assert len(URLS) >= 40
    seen = len(made.models.jobs)
    for form in URLS:
        answer = await made.vary(filled(form, key))
        assert (answer.status_code, answer.json()["code"]) == (400, "foreign_image_url"), form
        assert SECRET not in answer.text
    assert len(made.models.jobs) == seen
    ours = ("http://shop.test", "http://shop.test:80", "HTTP://SHOP.TEST", "")
    for form in (f"{base}/generated/{key}.png" for base in ours):
        assert (await made.vary(form, num_images=1)).status_code == 200


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))
