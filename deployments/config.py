"""Strict reading of a Serve configuration file.

Serve accepts unknown keys and misspelled deployment names in silence. Here they are errors that say
what is wrong and where. Nothing is started.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from ray.serve.schema import ServeDeploySchema

from deployments.ingress.http import presets
from deployments.settings import AppArgs
from deployments.studio import safety

BUILDER = "deployments.app:build"
_MERGE = "tag:yaml.org,2002:merge"


class _Loader(yaml.SafeLoader):
    """YAML as the standard has it, where a mapping's keys differ; PyYAML lets the last one win."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:  # noqa: ANN401 - as PyYAML has it
        """Read a mapping's nodes, of which no two may have one key."""
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            name = (key.tag, str(key.value))
            if name in seen and key.tag != _MERGE:
                raise yaml.composer.ComposerError(
                    "while reading a mapping",
                    node.start_mark,
                    f"found the key {key.value} a second time",
                    key.start_mark,
                )
            seen.add(name)
        return node


class ConfigError(Exception):
    """The configuration file cannot be used; the message lists all that is wrong."""


def read_config(path: Path) -> dict[str, Any]:
    """Read and check a Serve configuration file.

    Args:
        path: A YAML file as `serve run` takes it.

    Returns:
        The document as it stands in the file.

    Raises:
        ConfigError: It is missing, is not YAML, or has a key, a deployment name or a value that
            is not known.
    """
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a safe one
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not readable as YAML: {error}") from None
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: must be a mapping with a list of applications")
    wrong = list(_wrong(document))
    if wrong:
        raise ConfigError("\n".join(f"{path}: {line}" for line in wrong))
    return document


def our_applications(
    document: Mapping[str, Any],
) -> Iterator[tuple[str, Mapping[str, Any], AppArgs]]:
    """Find the applications of this package in a configuration that `read_config` accepted.

    Yields:
        Of each its place in the file, its entry, and its arguments.
    """
    for index, entry in enumerate(document["applications"]):
        if entry["import_path"] == BUILDER:
            yield f"applications.{index}", entry, AppArgs.model_validate(entry.get("args") or {})


def _wrong(document: dict[str, Any]) -> Iterator[str]:
    unknown = list(_unknown_keys(document, ServeDeploySchema, ""))
    yield from unknown
    try:
        ServeDeploySchema.model_validate(document)
    except ValidationError as error:
        yield from _lines(error, "")
        return
    except AttributeError:
        if not unknown:
            raise
        return  # Serve's own validators fail at a list's item that is no mapping; it is listed
    for index, application in enumerate(document["applications"]):
        where = f"applications.{index}"
        if application["import_path"] == BUILDER:
            yield from _wrong_application(application, where)


def _wrong_application(application: Mapping[str, Any], where: str) -> Iterator[str]:
    try:
        args = AppArgs.model_validate(application.get("args") or {})
    except ValidationError as error:
        yield from _lines(error, f"{where}.args")
        return
    yield from (f"{where}.args.presets.{fault}" for fault in presets.faults(args))
    for index, model in enumerate(args.models):
        if model.safety == "nsfw" and not safety.installed():
            yield f"{where}.args.models.{index}.safety: {safety.MISSING}"
    known = sorted(args.frame) + [model.id for model in args.models]
    for index, deployment in enumerate(application.get("deployments") or []):
        if deployment.get("name") not in known:
            yield (
                f"{where}.deployments.{index}.name: {deployment.get('name')!r} is not a deployment "
                f"of this application; it has {', '.join(known)}"
            )


def _lines(error: ValidationError, where: str) -> Iterator[str]:
    places = [detail["loc"] for detail in error.errors()]
    for detail in error.errors():
        loc = detail["loc"]
        if detail["type"] == "too_short" and any(
            other[: len(loc)] == loc for other in places if other != loc
        ):
            continue  # it has items, which are wrong and are listed
        path = ".".join([part for part in [where] if part] + [str(part) for part in loc])
        kind = detail["type"]
        yield f"{path}: {'unknown key' if kind == 'extra_forbidden' else detail['msg']}"


def _unknown_keys(given: object, model: type[BaseModel], where: str) -> Iterator[str]:
    """Find keys that Serve's schema does not have, and items that must be mappings and are not."""
    if not isinstance(given, dict):
        return
    for key, value in given.items():
        path = f"{where}.{key}" if where else str(key)
        field = model.model_fields.get(key)
        if field is None:
            yield f"{path}: unknown key"
            continue
        inner = _model_in(field.annotation)
        if inner is None:
            continue
        if not isinstance(value, list):
            yield from _unknown_keys(value, inner, path)
            continue
        for index, item in enumerate(value):
            if not isinstance(item, dict):
                yield f"{path}.{index}: must be a mapping"
            yield from _unknown_keys(item, inner, f"{path}.{index}")


def _model_in(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 - a type expression
    """Find the model in an annotation such as `list[Model] | None`, if there is one."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)
