"""Bodies: their media types, and how many parts a form may have."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from json import loads
from typing import Any, TypeVar

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request

from deployments.errors import BodyTooLarge, InvalidRequest
from deployments.ingress.core.sent_files import SentFile

Json = TypeVar("Json", bound=BaseModel)
Form = TypeVar("Form", bound=BaseModel)

FORM = "multipart/form-data"
JSON = "application/json"
MAX_FILES, MAX_FIELDS = 8, 32
"""Parts of a form: more than it has fields, so that one too many is named and not only counted."""


async def refuse_repeated_fields(request: Request) -> None:
    """Refuse a form that was read and has a field twice: see `refuse_repeated`."""
    refuse_repeated(await request.form())


def refuse_repeated(form: FormData) -> None:
    """Refuse a form with a field twice: it has no single meaning, and models keep only the last.

    Raises:
        InvalidRequest: There is such a field.
    """
    refuse_twice([name for name, _ in form.multi_items()])


def refuse_twice(names: list[str]) -> None:
    """Refuse fields of which one is there twice.

    Raises:
        InvalidRequest: There is such a field.
    """
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidRequest(f"field given more than once: {', '.join(twice)}")


@asynccontextmanager
async def read_either(
    request: Request, json: type[Json], form: type[Form], json_limit: int
) -> AsyncIterator[tuple[Json | Form, dict[str, SentFile]]]:
    """Read a body of either kind, whose files are there until the context ends.

    Args:
        request: Its media type says which kind it is.
        json: What a JSON body must be.
        form: What a form must be; an empty field is one that was left open.
        json_limit: Bytes of a JSON body.

    Yields:
        The body, and a form's files by their fields.

    Raises:
        RequestValidationError: Its fields are wrong.
        BodyTooLarge: It is JSON and too long.
        InvalidRequest: It has a field twice.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() == JSON:
        data = await _bytes(request, json_limit)
        _refuse_repeated_names(data)
        with _named_as_the_body():
            asked = json.model_validate_json(data)
        yield asked, {}
        return
    async with request.form(max_files=MAX_FILES, max_fields=MAX_FIELDS) as fields:
        refuse_repeated(fields)
        given = {name: value for name, value in fields.items() if value != ""}
        with _named_as_the_body():
            body = form.model_validate(given)
        sent = await SentFiles.of(request)
        yield (
            body,
            {
                name: sent.file(value)
                for name, value in given.items()
                if isinstance(value, UploadFile)
            },
        )


@contextmanager
def _named_as_the_body() -> Iterator[None]:
    """Tell what is wrong with fields as the framework tells it of a body."""
    try:
        yield
    except ValidationError as error:
        details = [{**detail, "loc": ("body", *detail["loc"])} for detail in error.errors()]
        raise RequestValidationError(details) from None


class FormFile:
    """A file of a form, which is there until the form is closed; on disk where it is long.

    Args:
        upload: As the parser has kept it.
        sha256: See `SentFile`.
    """

    def __init__(self, upload: UploadFile, sha256: bytes) -> None:
        self._upload = upload
        self.sha256 = sha256

    async def read(self) -> bytes:
        """See `SentFile`."""
        await self._upload.seek(0)
        return await self._upload.read()


class SentFiles:
    """The files of a form that was read, with the digests that were made while it arrived.

    Args:
        form: The form.
        digests: Of its parts, in their order: what `MultipartForms` has noted.
    """

    def __init__(self, form: FormData, digests: Sequence[bytes]) -> None:
        self._digests = {
            id(part.file): digest
            for (_, part), digest in zip(form.multi_items(), digests, strict=True)
            if isinstance(part, UploadFile)
        }

    @classmethod
    async def of(cls, request: Request) -> SentFiles:
        """Those of a request."""
        return cls(await request.form(), request.state.part_digests)

    def file(self, upload: UploadFile) -> FormFile:
        """One of the files."""
        return FormFile(upload, self._digests[id(upload.file)])

    def file_or_none(self, upload: UploadFile | None) -> FormFile | None:
        """One of the files; None where it was not sent."""
        return None if upload is None else self.file(upload)


def without_nulls(data: Any) -> Any:  # noqa: ANN401 - whatever was sent
    """A JSON body without the fields that are null: those are left open."""
    if not isinstance(data, dict):
        return data
    return {name: value for name, value in data.items() if value is not None}


def _refuse_repeated_names(data: bytes) -> None:
    """Refuse JSON whose object has a name twice: parsers differ in which one counts."""

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        refuse_twice([name for name, _ in pairs])
        return dict(pairs)

    # What is no JSON at all is told by the model that reads it.
    with suppress(ValueError, RecursionError):
        loads(data, object_pairs_hook=unique)


async def _bytes(request: Request, limit: int) -> bytes:
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > limit:
            raise BodyTooLarge(f"the body is over the limit of {limit} bytes")
    return bytes(data)
