"""Bodies are spooled within bounds, and nothing of them stays behind."""

from __future__ import annotations

import asyncio
import gc
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from deployments.settings import IngressSettings, UploadLimits
from tests.unit.ingress.memory import Surface, surface

FORM = {"Content-Type": "multipart/form-data; boundary=x"}
FILE = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
MEGABYTE = b"\x89" * 2**20


@pytest.fixture
def made(tmp_path, monkeypatch) -> Surface:
    """A service whose temporary files would be seen."""
    (tmp_path / "spool").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "spool"))
    return surface(tmp_path / "data", IngressSettings(limits=UploadLimits(max_body_bytes=2**23)))


def left() -> tuple[int, list[Path]]:
    """Open files, and what lies in the temporary folder."""
    gc.collect()
    spooled = [file for file in psutil.Process().open_files() if tempfile.gettempdir() in file.path]
    return len(spooled), list(Path(tempfile.gettempdir()).iterdir())


async def pieces(count: int, end: bytes = b"\r\n--x--\r\n") -> AsyncIterator[bytes]:
    yield FILE
    for _ in range(count):
        yield MEGABYTE
    yield end


async def post(made: Surface, body: AsyncIterator[bytes]) -> tuple[int, str]:
    answer = await made.client.post("/api/generate", content=body, headers=FORM)
    return answer.status_code, answer.json()["error"]


async def test_a_large_file_is_on_disk_while_it_arrives(made):
    seen: list[int] = []

    async def watched() -> AsyncIterator[bytes]:
        async for piece in pieces(4):
            seen.append(len(spooled()))
            yield piece

    async with made.client:
        await post(made, watched())
    assert max(seen) == 1
    assert left() == (0, [])


def spooled() -> list[str]:
    """Descriptors of files without a name in the temporary folder."""
    process = psutil.Process()
    return [
        link
        for fd in Path(f"/proc/{process.pid}/fd").iterdir()
        if tempfile.gettempdir() in (link := _target(fd))
    ]


def _target(fd: Path) -> str:
    try:
        return str(fd.readlink())
    except FileNotFoundError:
        return ""


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (lambda: pieces(3), 400),  # whole, and no image
        (lambda: pieces(12), 413),  # over the limit
        (lambda: pieces(3, b"\r\n--x\r\nContent-Disposition: nothing\r\n\r\n\r\n--x--"), 400),
        (lambda: pieces(3, b""), 400),  # never ended
        (lambda: pieces(3, b"\r\n--x\r\n" + b"a" * 9000), 400),  # a header over its limit
    ],
    ids=["refused", "too large", "malformed", "cut off", "header"],
)
async def test_a_refused_upload_leaves_nothing(made, body, status):
    async with made.client:
        answered, _ = await post(made, body())
    assert answered == status
    assert spooled() == []
    assert left() == (0, [])


async def test_a_caller_who_leaves_in_the_middle_leaves_nothing(made):
    arrived = asyncio.Event()

    async def stuck() -> AsyncIterator[bytes]:
        async for piece in pieces(3, b""):
            yield piece
        arrived.set()
        await asyncio.Event().wait()

    async with made.client:
        asking = asyncio.create_task(post(made, stuck()))
        await arrived.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    del asking
    gc.collect()
    assert spooled() == []
    assert left() == (0, [])


async def test_limits_of_a_form_name_their_values(made):
    part = b'--x\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\nv\r\n'
    many_fields = b"".join(part % (b"f%d" % n, b"") for n in range(33)) + b"--x--\r\n"
    many_files = b"".join(part % (b"f%d" % n, b'; filename="a"') for n in range(9)) + b"--x--\r\n"
    long_field = part.replace(b"v\r\n", MEGABYTE + b"v\r\n") % (b"prompt", b"") + b"--x--\r\n"
    async with made.client:
        for body, sentence in (
            (many_fields, "Too many fields. Maximum number of fields is 32."),
            (many_files, "Too many files. Maximum number of files is 8."),
            (long_field, "Part exceeded maximum size of 1024KB."),
        ):
            answer = await made.client.post("/api/generate", content=body, headers=FORM)
            assert answer.status_code == 400
            assert sentence in answer.json()["error"]


@pytest.mark.parametrize("streamed", [False, True])
async def test_json_has_a_limit_of_its_own(tmp_path, streamed):
    made = surface(tmp_path, IngressSettings(limits=UploadLimits(max_json_bytes=4096)))
    body = b'{"prompt": "' + b"x" * 5000 + b'"}'

    async def stream() -> AsyncIterator[bytes]:
        yield body

    async with made.client:
        answer = await made.client.post(
            "/api/variation",
            content=stream() if streamed else body,
            headers={"Content-Type": "application/json"},
        )
    assert answer.status_code == 413
    assert answer.json()["error"] == "the body is over the limit of 4096 bytes"
    assert answer.json()["code"] == "body_too_large"
