"""What can be known to be wrong before a photo is sent, from what the service says of itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from deployments.batch.entries import Entry
from deployments.batch.errors import WrongArguments
from deployments.client import Catalog

FORM_BYTES = 65_536
"""Room for what a form has beside its files."""


def checked(entries: Sequence[Entry], catalog: Catalog) -> list[Entry]:
    """The entries, of which those whose files are too large have that problem.

    Args:
        entries: What is asked for.
        catalog: What the service takes.

    Raises:
        WrongArguments: A model or a preset is unknown, or there is none, or no prompt.
    """
    most = catalog.limits["max_body_bytes"] or 0
    for entry in entries:
        if not entry.problem and (fault := _fault(entry, catalog)):
            raise WrongArguments(fault if entry.row is None else f"line {entry.row}: {fault}")
    return [_sized(entry, int(most)) for entry in entries]


def _fault(entry: Entry, catalog: Catalog) -> str:
    models = [model.id for model in catalog.models]
    presets = {preset.name: preset.fields for preset in catalog.presets}
    name = entry.fields.get("preset")
    if name is not None and name not in presets:
        return f"preset: there is no {name!r}; there are {', '.join(presets) or 'none'}"
    fields = {**presets.get(name or "", {}), **entry.fields}
    painted = fields.get("background", "scene") == "scene"
    if painted and "prompt" not in fields:
        return "prompt: it is missing: say --prompt, or give the table a column prompt"
    if painted and "model" not in fields:
        return f"model: it is missing; there are {', '.join(models)}"
    if fields.get("model", models[0]) not in models:
        return f"model: there is no {fields['model']!r}; there are {', '.join(models)}"
    return ""


def _sized(entry: Entry, most: int) -> Entry:
    if entry.problem:
        return entry
    try:
        size = sum(path.stat().st_size for path in entry.files().values())
    except OSError as error:
        return replace(entry, problem=f"{error.filename}: {error.strerror}")
    if size + FORM_BYTES <= most:
        return entry
    told = f"{size / 2**20:.1f} MB are more than the {most / 2**20:.0f} MB that the service takes"
    return replace(entry, problem=told)
