"""Bodies: their media types, and how many parts a form may have."""

from __future__ import annotations

from starlette.datastructures import FormData
from starlette.requests import Request

from deployments.errors import InvalidRequest

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
    names = [name for name, _ in form.multi_items()]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidRequest(f"field given more than once: {', '.join(twice)}")
