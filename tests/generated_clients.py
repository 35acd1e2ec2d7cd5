"""Clients made from the OpenAPI document by the generators that people use."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from deployments.composition import MEDIA_TYPES
from tests.npm import unavailable

OPENAPI_TS = ("@hey-api/openapi-ts@0.99.0", "typescript@5.9.3", "@types/node@22.19.0")
SPECTRAL = ("@stoplight/spectral-cli@6.16.3",)

PYTHON_SETTINGS = {
    # Formatting is no business of these tests.
    "post_hooks": [],
    # It knows no pictures; this lets it hand out their bytes.
    "content_type_overrides": dict.fromkeys(MEDIA_TYPES.values(), "application/octet-stream"),
}


def python_client(document: dict[str, Any], folder: Path, name: str) -> Path:
    """Make a Python package by openapi-python-client; any warning of it is a failure.

    Args:
        document: The OpenAPI document.
        folder: Where to.
        name: The package's.
    """
    if find_spec("openapi_python_client") is None:
        unavailable("openapi-python-client is not installed: it is in the extra test")
    source, settings = folder / f"{name}.json", folder / "python.yaml"
    source.write_text(json.dumps(document), encoding="utf-8")
    settings.write_text(yaml.safe_dump(PYTHON_SETTINGS), encoding="utf-8")
    command = [
        sys.executable, "-m", "openapi_python_client", "generate",
        "--path", source, "--config", settings, "--output-path", folder / name,
        "--meta", "none", "--fail-on-warning",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / name


def typescript_client(document: dict[str, Any], npm: Path, folder: Path) -> Path:
    """Make a TypeScript module by @hey-api/openapi-ts.

    Args:
        document: The OpenAPI document.
        npm: Where `OPENAPI_TS` is installed.
        folder: Where to.
    """
    source = folder / "openapi.json"
    source.write_text(json.dumps(document), encoding="utf-8")
    (folder / "node_modules").symlink_to(npm / "node_modules")
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "openapi-ts.config.mjs").write_text(
        "export default { input: 'openapi.json', plugins: ['@hey-api/client-fetch'], "
        "output: { path: 'client', module: { extension: '.js' } } };"
    )
    command = [npm / "node_modules" / ".bin" / "openapi-ts"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "client"


def operations(document: dict[str, Any]) -> dict[str, str]:
    """The first tag of each operation, by its id."""
    return {
        operation["operationId"]: operation["tags"][0]
        for path in document["paths"].values()
        for operation in path.values()
    }


def module_of(package: str, tag: str, operation: str) -> ModuleType:
    """The module that openapi-python-client has made of an operation."""
    return importlib.import_module(f"{package}.api.{tag.replace('-', '_')}.{operation}")
