"""Installs packages with pip and says in a few lines how far it is.

`make run` and `make test` call it. pip's own talk goes to a log file, whose end is shown when pip
fails. Needs nothing but Python and its pip, because it runs before anything is installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import IO

FIRST_WORD_S = 20.0
"""Seconds until the first word about progress; each later one waits twice as long as the last."""

NO_PIP = """\
backdrop: {python} has no pip, which installs the packages. Leave its environment (deactivate), or
give it pip ({python} -m ensurepip, or apt-get install python3-pip), or name another Python:
make PYTHON=/usr/bin/python3"""
LOOK_S = 0.5
LOG_END_LINES = 25

_UNITS = {"bytes": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}
_DOWNLOAD = re.compile(r"\s*Downloading (\S+) \(([\d.]+) (bytes|kB|MB|GB)\)")
_RAW = re.compile(r"Progress (\d+) of (\d+)")


class Progress:
    """What pip has done so far, read from the lines it prints.

    Attributes:
        files: Packages whose download has begun.
        current: Name and version of the one that is being downloaded, empty before the first.
        installing: pip is unpacking; nothing is downloaded any more.
    """

    def __init__(self) -> None:
        self.files = 0
        self.current = ""
        self.installing = False
        self._done = 0.0
        self._size = 0.0
        self._part = 0.0

    def read(self, line: str) -> None:
        """Take one line of pip's."""
        if (raw := _RAW.match(line)) is not None:
            self._part = float(raw[1])
        elif (begun := _DOWNLOAD.match(line)) is not None:
            file = begun[1].rpartition("/")[2]
            self._done += self._size
            self._size, self._part = float(begun[2]) * _UNITS[begun[3]], 0.0
            if not file.endswith(".metadata"):
                self.files += 1
                self.current = " ".join(file.split("-")[:2])
        elif line.startswith("Installing collected packages"):
            self._done, self._size, self._part = self._done + self._size, 0.0, 0.0
            self.installing = True

    @property
    def downloaded(self) -> float:
        """Bytes; of the present file those that pip told, none with a pip that does not tell."""
        return self._done + self._part

    def __str__(self) -> str:
        """One line for the terminal."""
        told = f"{self.downloaded / 1e6:,.0f} MB of {self.files} packages downloaded"
        if self.installing:
            return f"{told}; unpacking"
        if self._size >= 1e6:
            return f"{told}, now {self.current} ({self._size / 1e6:,.0f} MB)"
        return told


class Terminal:
    """The lines about progress: one that is drawn again on a terminal, else a few over time.

    Args:
        out: Where they go.
    """

    def __init__(self, out: IO[str]) -> None:
        self._out = out
        self._redraws = out.isatty()
        self._begun = time.monotonic()
        self._gap_s = FIRST_WORD_S
        self._next = self._begun + FIRST_WORD_S

    def show(self, progress: Progress) -> None:
        """Tell how far it is, if it is time to."""
        now = time.monotonic()
        told = f"backdrop: {now - self._begun:.0f} s: {progress}"
        if self._redraws:
            self._out.write(f"\r\x1b[K{told[: shutil.get_terminal_size().columns - 1]}")
            self._out.flush()
        elif now >= self._next:
            self._gap_s *= 2
            self._next = now + self._gap_s
            self._out.write(f"{told}\n")
            self._out.flush()

    def say(self, line: str) -> None:
        """Print a line that stays."""
        self._out.write(f"\r\x1b[Kbackdrop: {line}\n" if self._redraws else f"backdrop: {line}\n")
        self._out.flush()


def main() -> None:
    """Entry point: `install.py --python PYTHON --log FILE -- PIP_ARGUMENTS`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", required=True, help="the interpreter to install for")
    parser.add_argument("--log", required=True, type=Path, help="where pip's talk goes")
    parser.add_argument("--what", default="the service", help="what the first line says")
    parser.add_argument("arguments", nargs="+", help="of `pip install`")
    options = parser.parse_args()
    if importlib.util.find_spec("pip") is None:
        sys.exit(NO_PIP.format(python=sys.executable))
    try:
        sys.exit(install(options.python, options.arguments, options.log, options.what))
    except KeyboardInterrupt:
        sys.exit(130)


def install(python: str, arguments: list[str], log: Path, what: str) -> int:
    """Run pip to its end.

    Args:
        python: The interpreter to install for.
        arguments: Of `pip install`.
        log: Takes all that pip prints; it is written anew.
        what: What is installed, for the first line.

    Returns:
        pip's exit status.
    """
    terminal, progress = Terminal(sys.stdout), Progress()
    terminal.say(f"installing {what}; pip's talk goes to {log}")
    begun = time.monotonic()
    bar = "raw" if _pip_version() >= (24, 1) else "off"
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python]
    command += ["install", "--no-input", "--progress-bar", bar, *arguments]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with (
        log.open("w", encoding="utf-8") as file,
        subprocess.Popen(  # noqa: S603 - our own interpreter's pip
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
        ) as pip,
    ):
        # A thread reads, because pip is silent for minutes while a large package comes.
        reader = threading.Thread(target=_read, args=(pip.stdout, file, progress))
        reader.start()
        while reader.is_alive():
            reader.join(LOOK_S)
            terminal.show(progress)
    if pip.returncode:
        for line in log.read_text(encoding="utf-8").splitlines()[-LOG_END_LINES:]:
            print(line, file=sys.stderr)
        terminal.say(f"the installation failed; all that pip said is in {log}")
    else:
        seconds, megabytes = time.monotonic() - begun, progress.downloaded / 1e6
        terminal.say(f"installed in {seconds:.0f} s, {megabytes:,.0f} MB downloaded")
    return pip.returncode


def _read(lines: Iterable[str], log: IO[str], progress: Progress) -> None:
    for line in lines:
        progress.read(line)
        if _RAW.match(line) is None:
            log.write(line)
            log.flush()


def _pip_version() -> tuple[int, int]:
    major, minor, *_ = [*re.findall(r"\d+", metadata.version("pip")), "0"]
    return int(major), int(minor)


if __name__ == "__main__":
    main()
