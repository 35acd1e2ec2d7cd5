"""`backdrop batch` as a process of its own, against the real ingress in memory."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.documents import ROOT
from tests.unit.client.served import served
from tests.unit.ingress.background import at_work
from tests.unit.ingress.memory import Surface, png

ASKED = ("--prompt", "Perfume backdrop", "--model", "stable-diffusion", "--num-images", "1")

COMMAND = """
import argparse, sys
from deployments import batch

parser = argparse.ArgumentParser("backdrop batch")
batch.add_options(parser)
sys.exit(batch.run(parser.parse_args()))
"""
"""As the launcher does it, without what the launcher alone imports."""


@dataclass
class Ended:
    """A process at its end."""

    code: int
    out: str
    error: str


@dataclass
class Commands:
    """Starts the command in a folder.

    Attributes:
        folder: Where it is started; its photos are in `photos`, its results in `out`.
        environment: Beside this process's own.
    """

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def photo(self, name: str, content: bytes | None = None, **look: object) -> Path:
        path = self.folder / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(**look) if content is None else content)
        return path

    async def start(self, *arguments: str, photos: str = "photos") -> asyncio.subprocess.Process:
        command = ["-c", COMMAND, photos, "--out", "out", *arguments]
        ours = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            cwd=self.folder,
            env={**ours, "PYTHONPATH": str(ROOT), **self.environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def run(self, *arguments: str, photos: str = "photos") -> Ended:
        return await self.end(await self.start(*arguments, photos=photos))

    async def end(self, process: asyncio.subprocess.Process, number: int = 0) -> Ended:
        """Wait for its end, which a signal may bring."""
        if number:
            process.send_signal(number)
        async with asyncio.timeout(120):
            out, error = await process.communicate()
        return Ended(process.returncode, out.decode(), error.decode())

    async def kill(self, process: asyncio.subprocess.Process) -> None:
        await self.end(process, signal.SIGKILL)

    def manifest(self) -> dict[str, dict]:
        """The rows of the JSON by photo, which those of the CSV are too."""
        rows = json.loads((self.out / "manifest.json").read_text(encoding="utf-8"))
        with (self.out / "manifest.csv").open(encoding="utf-8", newline="") as file:
            table = list(csv.DictReader(file))
        assert [(row["photo"], row["state"]) for row in table] == [
            (row["photo"], row["state"]) for row in rows
        ]
        return {row["photo"]: row for row in rows}

    def saved(self) -> list[str]:
        """The images that are saved."""
        found = (path for path in self.out.rglob("*.*") if path.suffix in (".png", ".jpg"))
        return sorted(str(path.relative_to(self.out)) for path in found)


@asynccontextmanager
async def serving(commands: Commands, api: Surface, port: int = 0) -> AsyncIterator[None]:
    """The service, which works on jobs, until the end of the block; 0 is any port."""
    async with served(api.app, port) as url, at_work(api):
        commands.environment["BACKDROP_URL"] = url
        yield
