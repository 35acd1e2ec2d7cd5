"""Named sets of fields, which a configuration offers and a request chooses by `preset`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import ValidationError

from deployments.errors import InvalidRequest
from deployments.ingress.http import problems
from deployments.ingress.http.schemas import EXAMPLE_URL, VariationBody, request_models
from deployments.presets import PresetFields
from deployments.settings import AppArgs

_NOT_OF_A_PRESET = frozenset({"image_url", "cutout", "preset", "seed", "callback_url"})
"""Fields of one request alone."""


def faults(args: AppArgs) -> Iterator[str]:
    """Find what is wrong with the presets of a configuration.

    Args:
        args: The application's arguments.

    Yields:
        A sentence for each fault, which begins with the preset's name.
    """
    body = request_models(args.models, args.ingress, args.studio.max_output_side, {}).variation
    for name, fields in args.presets.items():
        yield from (f"{name}.{fault}" for fault in _faults(fields, body, args.models[0].id))


def _faults(fields: PresetFields, body: type[VariationBody], model: str) -> Iterator[str]:
    own = sorted(_NOT_OF_A_PRESET & fields.keys())
    if own:
        yield f"{own[0]}: it is of one request, and of no preset"
        return
    request: Mapping[str, object] = {
        "image_url": EXAMPLE_URL, "prompt": "any", "model": model, **fields,
    }  # fmt: skip
    try:
        pictured = fields.get("background") == "image"
        order = body.model_validate(request).order(pictured=pictured)
        order.check()
    except ValidationError as error:
        details = [{**detail, "loc": ("body", *detail["loc"])} for detail in error.errors()]
        yield problems.sentence(details)
    except InvalidRequest as error:
        yield str(error)
