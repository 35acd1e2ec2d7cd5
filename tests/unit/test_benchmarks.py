"""Every benchmark starts: its imports are there, and it says how it is used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]

# One process for all, for they import the same large libraries.
START_ALL = """
import contextlib, io, runpy, sys, traceback
failed = []
for name in sys.argv[1:]:
    sys.argv = [name, "--help"]
    told = io.StringIO()
    try:
        with contextlib.redirect_stdout(told):
            runpy.run_module(f"tests.bench.{name}", run_name="__main__", alter_sys=True)
        failed.append(f"{name} ran on and did not tell how it is used")
    except SystemExit as end:
        if end.code or "usage" not in told.getvalue():
            failed.append(f"{name} ended with {end.code}")
    except BaseException:
        failed.append(f"{name}: {traceback.format_exc()}")
sys.exit("\\n".join(failed) or None)
"""


def test_every_benchmark_tells_how_it_is_used() -> None:
    names = [
        file.stem
        for file in sorted((CHECKOUT / "tests" / "bench").glob("*.py"))
        if 'if __name__ == "__main__"' in file.read_text(encoding="utf-8")
    ]
    assert "engine_cpu" in names
    started = subprocess.run(
        [sys.executable, "-c", START_ALL, *names],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert started.returncode == 0, started.stderr
