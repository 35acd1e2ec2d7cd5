"""Forms as RFC 2046 and RFC 7578 have them, and those that are none."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.errors import InvalidRequest
from deployments.ingress.http.middleware.multipart_forms import MAX_HEADER_BYTES, Form
from tests.unit.ingress.memory import Surface, png
from tests.unit.ingress.test_problems import problem

TYPE = "multipart/form-data; boundary=XbX"
END = b"--XbX--\r\n"


def part(name: str, body: bytes, *headers: str, more: str = "") -> bytes:
    lines = [f'Content-Disposition: form-data; name="{name}"{more}', *headers]
    return b"--XbX\r\n" + "\r\n".join(lines).encode() + b"\r\n\r\n" + body + b"\r\n"


PHOTO = png()
TEXTS = part("prompt", b"forest") + part("model", b"stable-diffusion") + part("num_images", b"1")
FILE = part("image", PHOTO, "Content-Type: image/png", more='; filename="a.png"')


async def sent(api: Surface, body: bytes, kind: str = TYPE, path: str = "/api/generate"):
    return await api.client.post(path, content=body, headers={"Content-Type": kind})


@pytest.mark.parametrize(
    "body",
    [
        TEXTS + FILE + END,
        b"\r\n" + TEXTS + FILE + END,
        b"This is a form.\r\n--XbY\r\nIt begins below.\r\n" + TEXTS + FILE + END,
        TEXTS + FILE + END + b"--XbX\r\nno part of it",
        (TEXTS + FILE + END).replace(b"--XbX\r\n", b"--XbX \t\r\n"),
        TEXTS + FILE + END.removesuffix(b"\r\n"),
        TEXTS + FILE.replace(b'; filename="a.png"', b"") + END,
        TEXTS + FILE.replace(b'filename="a.png"', b"filename*=UTF-8''a.png") + END,
        TEXTS + FILE.replace(b"Content-Type", b"content-type") + END,
    ],
)
async def test_a_form_is_read(api, body):
    answer = await sent(api, body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["prompt_used"] == "forest"


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (TEXTS + FILE, TYPE, "the form is cut off: its closing boundary is missing"),
        (TEXTS + FILE[:-40], TYPE, "the form is cut off: its closing boundary is missing"),
        (b"", TYPE, "the body is no form: the boundary"),
        (b"prompt=forest", TYPE, "the body is no form: the boundary"),
        ((TEXTS + END).replace(b"\r\n", b"\n"), TYPE, "or its lines do not end with CRLF"),
        (TEXTS + END, TYPE.replace("XbX", "XbY"), "the body is no form: the boundary"),
        (TEXTS + END, "multipart/form-data", "must name its boundary"),
        (TEXTS + END, "multipart/form-data; boundary=", "must name its boundary"),
        (
            TEXTS + part("image", PHOTO, "X-Long: " + "x" * MAX_HEADER_BYTES) + END,
            TYPE,
            f"more than {MAX_HEADER_BYTES} bytes of headers",
        ),
        # Text is what a part is by default.
        (TEXTS + part("image", PHOTO) + END, TYPE, "image must be a file"),
        (TEXTS + part("image", b"x", "Content-Type: text/plain") + END, TYPE, "must be a file"),
        (
            TEXTS.replace(b'name="prompt"', b'name="prompt"; filename="prompt.txt"') + FILE + END,
            TYPE,
            "prompt came as a file: send its text as a field of the form",
        ),
    ],
)
async def test_what_is_wrong_is_said(api, body, kind, message):
    assert message in problem(await sent(api, body, kind), 400, "invalid_request")


async def test_a_file_without_a_name_is_one_for_openais_clients_too(api):
    body = TEXTS.replace(b"num_images", b"n") + FILE.replace(b'; filename="a.png"', b"") + END
    answer = await sent(api, body, path="/v1/images/edits")
    assert answer.status_code == 200, answer.text


NEAR = st.sampled_from([b"\r", b"\n", b"\r\n", b"--", b"--XbX", b"--XbXy", b"\r\n--Xb", b"a", b" "])
DATA = st.lists(NEAR, max_size=8).map(b"".join)


@given(preamble=DATA, bodies=st.lists(DATA, min_size=1, max_size=3), cut=st.integers(1, 40))
def test_bodies_come_through_however_they_arrive(preamble, bodies, cut):
    # What would end one of them is none of it.
    preamble, bodies = fair(preamble), [fair(body) for body in bodies]
    plain = b"".join(part("a", body) for body in bodies) + END
    whole = preamble + b"\r\n" + plain
    form = Form(b"XbX")
    read = b"".join(form.feed(whole[at : at + cut]) for at in range(0, len(whole), cut))
    form.end()
    assert read == plain


def fair(data: bytes) -> bytes:
    """The data without lines that are boundaries."""
    lines = data.split(b"\r\n")
    return b"\r\n".join(
        line
        for line in lines
        if not line.startswith(b"--XbX--") and line.rstrip(b" \t") != b"--XbX"
    )


def test_a_part_without_headers_comes_through():
    form = Form(b"XbX")
    assert form.feed(b"--XbX\r\n\r\nbody\r\n--XbX--") == b"--XbX\r\n\r\nbody\r\n--XbX--\r\n"
    form.end()


def test_nothing_is_kept_of_a_long_file():
    form, kept = Form(b"XbX"), 0
    form.feed(FILE.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
    for _ in range(64):
        assert len(form.feed(b"\r\n--Xb" * 1024)) >= 1024
        kept = max(kept, len(form._rest))
    assert kept < 64


def test_headers_without_end_are_refused_while_they_arrive():
    form = Form(b"XbX")
    form.feed(b"--XbX\r\n")
    for _ in range(MAX_HEADER_BYTES - 2):
        assert form.feed(b"x") == b""
    with pytest.raises(InvalidRequest, match="bytes of headers"):
        form.feed(b"x")


@given(
    contents=st.lists(
        st.binary(max_size=40) | st.just(b"\r\n--XbX and more") | st.just(b"\r\n--Xb")
    ),
    cuts=st.lists(st.integers(1, 30)),
)
def test_each_part_is_digested_however_it_arrives(contents, cuts):
    contents = [content for content in contents if b"\r\n--XbX\r\n" not in content]
    body = b"".join(part("file", content) for content in contents) + END
    form, rest = Form(b"XbX"), body
    for cut in cuts:
        form.feed(rest[:cut])
        rest = rest[cut:]
    form.feed(rest)
    assert form.digests == [sha256(content).digest() for content in contents]
