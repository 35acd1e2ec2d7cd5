"""The few lines that `make run` prints while pip works, and what it shows when pip fails."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import install as installer
from scripts.install import Progress, Terminal

SCRIPT = Path(installer.__file__)

OLD_PIP = """\
Collecting ray
  Downloading ray-2.60.0-cp311-cp311-manylinux2014_x86_64.whl (79.3 MB)
Collecting click>=7.0 (from ray)
  Downloading click-8.5.1-py3-none-any.whl (126 kB)
Processing /wheels/urllib3-2.8.0-py3-none-any.whl
"""
NEW_PIP = """\
Collecting ray
  Downloading ray-2.60.0-cp311-cp311-manylinux2014_x86_64.whl.metadata (12 kB)
Downloading ray-2.60.0-cp311-cp311-manylinux2014_x86_64.whl (80.0 MB)
Progress 0 of 80000000
Progress 20000000 of 80000000
"""


def told(lines: str) -> Progress:
    progress = Progress()
    for line in lines.splitlines():
        progress.read(line)
    return progress


def test_a_file_counts_when_the_next_has_begun():
    progress = told(OLD_PIP)
    assert (progress.files, progress.current) == (2, "click 8.5.1")
    assert progress.downloaded == 79.3e6
    progress.read("Installing collected packages: click, ray")
    assert progress.downloaded == pytest.approx(79.3e6 + 126e3)
    assert str(progress) == "79 MB of 2 packages downloaded; unpacking"


def test_a_pip_that_tells_its_bytes_is_followed_within_a_file():
    progress = told(NEW_PIP)
    assert progress.downloaded == 20_012_000
    assert str(progress) == "20 MB of 1 packages downloaded, now ray 2.60.0 (80 MB)"


def test_a_pipe_gets_few_lines(monkeypatch):
    seconds = iter(range(1000))
    monkeypatch.setattr(installer.time, "monotonic", lambda: float(next(seconds)))
    out = io.StringIO()
    terminal = Terminal(out)
    for _ in range(600):
        terminal.show(Progress())
    assert out.getvalue().count("\n") == 4  # after 20, 60, 140 and 300 s
    assert "backdrop: 20 s: 0 MB of 0 packages downloaded" in out.getvalue()


def test_a_failure_shows_the_end_of_what_pip_said(tmp_path):
    outer = str(Path(sys.base_prefix) / "bin" / "python3")
    if subprocess.run([outer, "-m", "pip", "--version"], capture_output=True).returncode:
        pytest.skip("the outer Python has no pip")
    log = tmp_path / "install.log"
    command = [outer, SCRIPT, "--python", sys.executable, "--log", log, "--what", "a thing", "--"]
    command += ["--no-index", "--target", tmp_path, "no-such-package-of-ours"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        f"backdrop: installing a thing; pip's talk goes to {log}",
        f"backdrop: the installation failed; all that pip said is in {log}",
    ]
    assert "no-such-package-of-ours" in done.stderr
    assert "no-such-package-of-ours" in log.read_text(encoding="utf-8")


def test_a_python_without_pip_is_told_what_to_do(tmp_path):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    python = tmp_path / "bare" / "bin" / "python"
    command = [python, SCRIPT, "--python", python, "--log", tmp_path / "log", "--", "nothing"]
    failed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert failed.returncode == 1
    assert failed.stderr.startswith(f"backdrop: {python} has no pip")
    assert "make PYTHON=" in failed.stderr
    assert "Traceback" not in failed.stderr
