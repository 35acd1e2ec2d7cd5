"""Whatever a body is, the answer is the contract's: images, or a problem that is not our fault."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployments.settings import IngressSettings
from tests.unit.ingress.memory import Surface, png, surface

quick = settings(
    max_examples=120, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck)
)


def mostly(usual: st.SearchStrategy[Any], odd: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """The odd only now and then, so that what lies behind it is reached too."""
    return st.integers(0, 9).flatmap(lambda number: odd if number == 9 else usual)


TEXT = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        ["", " ", "4", "-1", "0", "1e999", "nan", "inf", "-inf", "1.5", "null", "true", "\uff19",
         "1" * 5000, "0x10", "1_000", "\0", "\ud800", "stable-diffusion", "p", "\r\n--x"]
    ),
)  # fmt: skip
KNOWN_NAMES = st.sampled_from(
    ["prompt", "model", "num_images", "negative_prompt", "seed", "steps", "guidance_scale",
     "strength", "image", "image_url"]
)  # fmt: skip
NAMES = mostly(KNOWN_NAMES, st.sampled_from(["colour", "", "\r\n", '"', "__proto__"]))
HEADERS = st.sampled_from(
    [
        "",
        "Content-Type: image/png\r\n",
        "Content-Type: \xff\r\n",
        "Content-Type: text/plain; charset=utf-7\r\n",
        "Content-Transfer-Encoding: base64\r\n",
        "Content-Length: 99999999999\r\n",
        ":\r\n",
        "x\r\n",
    ]
)
FILENAMES = st.sampled_from(
    ["", '; filename="a.png"', '; filename=""', "; filename=../../a", "; filename*=utf-8''%ff",
     '; filename="\0"']
)  # fmt: skip
BOUNDARIES = mostly(st.just("x"), st.sampled_from(['"x"', "y", "", "x" * 300, "\xff"]))
CONTENT = st.one_of(
    TEXT.map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.binary(max_size=60),
    st.just(png()),
)
JSON_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXT),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Surface]:
    yield surface(tmp_path, IngressSettings(max_images=2))
    gc.collect()


def ask(made: Surface, path: str, content: bytes, content_type: str) -> httpx.Response:
    async def send() -> httpx.Response:
        # A client and a loop for each example: the surface keeps nothing of either.
        transport = httpx.ASGITransport(made.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop.test") as client:
            headers = [(b"content-type", content_type.encode("latin-1"))]
            return await client.post(path, content=content, headers=headers)

    return asyncio.run(send())


def check(answer: httpx.Response) -> None:
    body = answer.json()
    if answer.status_code == 200:
        assert set(body) >= {"images", "model_used", "prompt_used"}
        return
    assert answer.status_code in (400, 404), body
    assert set(body) == {"error", "code", "request_id"}
    # A sentence about something that is named.
    assert not body["error"].startswith(" ")
    for leak in ("Traceback", 'File "', ".py", "0x7f"):
        assert leak not in body["error"]


@st.composite
def multipart(draw: st.DrawFn) -> bytes:
    parts = []
    for _ in range(draw(st.integers(0, 6))):
        name, filename = draw(NAMES), draw(FILENAMES)
        header = draw(mostly(st.just(""), HEADERS))
        head = f'Content-Disposition: form-data; name="{name}"{filename}\r\n{header}\r\n'
        parts.append(b"--x\r\n" + head.encode("latin-1") + draw(CONTENT) + b"\r\n")
    body = b"".join(parts) + draw(
        mostly(st.just(b"--x--\r\n"), st.sampled_from([b"--x", b"", b"--y--"]))
    )
    cut = draw(mostly(st.none(), st.integers(0, len(body))))
    return body[:cut]


# Starlette leaves the file of a form that is cut off within it to the garbage collector.
@pytest.mark.filterwarnings("ignore:Unclosed file <tempfile.SpooledTemporaryFile:ResourceWarning")
@quick
@given(body=multipart(), boundary=BOUNDARIES)
def test_forms(made, body, boundary):
    check(ask(made, "/api/generate", body, f"multipart/form-data; boundary={boundary}"))


def form(photo: bytes, **fields: str) -> bytes:
    given = {"prompt": "p", "model": "controlnet", "num_images": "1", **fields}
    parts = [
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode(
            "utf-8", "surrogatepass"
        )
        for name, value in given.items()
    ]
    head = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
    return b"".join(parts) + head + photo + b"\r\n--x--\r\n"


@quick
@given(name=KNOWN_NAMES, value=TEXT)
def test_one_field_of_a_form(made, name, value):
    body = form(png(), **{name: value})
    check(ask(made, "/api/generate", body, "multipart/form-data; boundary=x"))


@quick
@given(start=st.sampled_from([b"", png(), png()[:40]]), junk=st.binary(max_size=60))
def test_the_file_of_a_form(made, start, junk):
    check(ask(made, "/api/generate", form(start + junk), "multipart/form-data; boundary=x"))


@quick
@given(body=st.binary(max_size=80) | JSON_VALUES.map(lambda value: json.dumps(value).encode()))
def test_json(made, body):
    check(ask(made, "/api/variation", body, "application/json"))


@quick
@given(name=NAMES, value=JSON_VALUES)
def test_one_field_of_json(made, name, value):
    url = f"/generated/{'0' * 32}.png"
    given = {"image_url": url, "prompt": "p", "model": "controlnet", name: value}
    check(ask(made, "/api/variation", json.dumps(given).encode(), "application/json"))


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"seed":' + b"1" * 10_000 + b"}",
        b'{"prompt": "\\ud800"}',
        b'{"prompt": 1e999999}',
        b'{"prompt": NaN}',
        '{"prompt": "ä"}'.encode("latin-1"),
        '{"prompt": "ä"}'.encode("utf-16"),
        b"\xef\xbb\xbf{}",
    ],
    ids=lambda body: repr(body[:20]),
)
def test_json_that_breaks_parsers(made, body):
    answer = ask(made, "/api/variation", body, "application/json")
    assert answer.status_code == 400
    check(answer)
