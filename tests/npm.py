"""Packages of npm that tests run, fetched once into pytest's cache."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest


def installed(config: pytest.Config, *packages: str) -> Path:
    """A folder whose `node_modules` has packages; nothing that they would run at once is run.

    Args:
        config: Says where the cache is.
        packages: Their names with exact versions.
    """
    name = "-".join(packages).replace("/", "-").replace("@", "-")
    folder = config.rootpath / ".pytest_cache" / "npm" / name
    if not (folder / "whole").exists():
        if shutil.which("npm") is None:
            unavailable("npm is not installed")
        folder.mkdir(parents=True, exist_ok=True)
        install = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"]
        done = subprocess.run(
            [*install, folder, *packages], cwd=folder, capture_output=True, text=True, timeout=300
        )
        if done.returncode != 0:
            unavailable(f"npm cannot fetch {packages}: {done.stderr.strip()[-300:]}")
        (folder / "whole").touch()
    return folder


def unavailable(reason: str) -> NoReturn:
    """Skip, but not where CI has brought everything that these tests need."""
    if "BACKDROP_REQUIRE_BROWSER" in os.environ:
        pytest.fail(reason)
    pytest.skip(reason)
