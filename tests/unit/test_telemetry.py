"""The libraries that report their use to their makers do not, once they are told."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMES = ("XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "ORT_DISABLE_TELEMETRY", "CI")


@pytest.mark.parametrize("library", ["onnxruntime", "openvino"])
def test_an_import_keeps_no_id_in_the_users_folder(library: str, tmp_path: Path) -> None:
    """Where they report, they keep an id of the machine."""
    if find_spec(library) is None:
        pytest.skip("it is not installed")
    environment = {name: value for name, value in os.environ.items() if name not in NAMES}
    environment["HOME"] = str(tmp_path)
    program = f"from deployments import telemetry; telemetry.stop(); import {library}"
    subprocess.run([sys.executable, "-c", program], check=True, env=environment, cwd=ROOT)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
