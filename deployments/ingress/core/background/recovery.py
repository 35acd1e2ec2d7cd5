"""What a replica that died has left of a background request's images."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO

from PIL import Image
from pydantic import TypeAdapter, ValidationError

from deployments.errors import ImageNotFound, InternalError
from deployments.ingress.core.background.records import Record
from deployments.ingress.core.events import ImageStored, Timings
from deployments.ingress.core.job_source import distinct, file_format, lineage
from deployments.ingress.core.ports import Backends
from deployments.jobs import Fidelity

_UNKNOWN = Timings(0, 0, 0)
_FIDELITY: TypeAdapter[Fidelity | None] = TypeAdapter(Fidelity | None)
_SEED: TypeAdapter[int | None] = TypeAdapter(int | None)


async def stored_untold(
    backends: Backends, record: Record, warnings: tuple[str, ...]
) -> list[ImageStored]:
    """Images that are stored and that the record does not tell of.

    What their model warned of is not stored, and so not known any more.

    Args:
        backends: The other deployments.
        record: Of the request.
        warnings: Sentences about the request as a whole.

    Raises:
        InternalError: A recipe is damaged.
    """
    found = []
    for index, key in enumerate(record.fixed.image_keys):
        if key not in record.unmade_keys:
            continue
        try:
            recipe = await backends.results.load_recipe(key)
            image = await backends.results.load_image(key, file_format(recipe))
        except ImageNotFound:
            continue
        width, height = Image.open(BytesIO(image.file)).size
        found.append(
            ImageStored(
                index=index,
                key=key,
                seed=_seed(recipe),
                fidelity=_fidelity(recipe),
                width=width,
                height=height,
                file_format=file_format(recipe),
                warnings=warnings,
                timings=_UNKNOWN,
            )
        )
    return found


async def remove_untold(backends: Backends, record: Record) -> None:
    """Remove images that are stored and that the record does not tell of."""
    for key in record.unmade_keys:
        try:
            recipe = await backends.results.load_recipe(key)
        except ImageNotFound:
            continue
        await backends.results.delete(key, distinct(*lineage(recipe)))


def _seed(recipe: Mapping[str, object]) -> int | None:
    try:
        return _SEED.validate_python(recipe.get("seed"))
    except ValidationError:
        raise InternalError("the image's recipe is damaged") from None


def _fidelity(recipe: Mapping[str, object]) -> Fidelity | None:
    try:
        return _FIDELITY.validate_python(recipe.get("fidelity"))
    except ValidationError:
        raise InternalError("the image's recipe is damaged") from None
