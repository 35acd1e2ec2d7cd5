"""client.js without a browser: its own tests, run by the Node.js that Playwright brings along."""

from __future__ import annotations

import subprocess
from pathlib import Path

import playwright
import pytest

NODE = Path(playwright.__file__).parent / "driver" / "node"
TESTS = sorted(Path(__file__).parent.glob("*.test.mjs"))


@pytest.mark.parametrize("tests", TESTS, ids=lambda path: path.name)
def test_client(tests):
    command = [NODE, "--test", "--test-timeout=60000", "--test-reporter=spec", tests]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "✔" in done.stdout
