"""The `backdrop` command of an installed wheel, with the configuration that is in the package."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.serve.conftest import free_port

ROOT = Path(__file__).parents[2]
PAGES = "backdrop: chat page "
"""The last of the lines that tell that it is up."""


@dataclass
class Launched:
    """A running launcher after it made its sample."""

    process: subprocess.Popen[str]
    url: str
    folder: Path
    printed: list[str]

    @property
    def images(self) -> list[str]:
        return [line.strip() for line in self.printed if line.startswith("  http")]


@dataclass(frozen=True)
class Wheel:
    """Backdrop installed from its wheel, beside the tests' own packages."""

    folder: Path

    def start(self, *arguments: object, cwd: Path) -> subprocess.Popen[str]:
        command = [self.folder / "bin" / "backdrop", *arguments]
        return subprocess.Popen(
            list(map(str, command)),
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(self.folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


def install_wheel(folder: Path) -> Wheel:
    """Build the wheel of what .dockerignore lets through, as the image does, and install it."""
    source = folder / "source"
    source.mkdir()
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if line.startswith("!"):
            there = ROOT / line[1:]
            if there.is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(there, source / there.name, ignore=ignored)
            else:
                shutil.copy(there, source)
    # The tests' environment need not have a pip of its own, only the Python it was made with.
    pip = [sys._base_executable, "-m", "pip", "--disable-pip-version-check"]
    pip += ["--python", sys.executable]
    built = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, source]
    subprocess.run([*pip, *built], check=True, timeout=300)
    (file,) = folder.glob("backdrop-*.whl")
    installed = ["install", "--quiet", "--no-deps", "--no-index", "--target", folder / "site", file]
    subprocess.run([*pip, *installed], check=True, timeout=120)
    return Wheel(folder / "site")


@contextmanager
def started(wheel: Wheel, folder: Path) -> Iterator[Launched]:
    """The service, until the end of the block or until a test ends it."""
    port = free_port()
    process = wheel.start("--port", port, cwd=folder)
    try:
        printed = []
        for line in process.stdout:
            printed.append(line.rstrip("\n"))
            if line.startswith(PAGES):
                break
        yield Launched(process, f"http://127.0.0.1:{port}", folder, printed)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
