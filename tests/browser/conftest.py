"""The serve suite's service on a real Ray, and one headless Chromium for all tests."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    expect,
    sync_playwright,
)

from tests.browser.chat import Chat
from tests.serve.conftest import Cluster, free_port

AXE_VERSION = "4.14.1"
AXE_SHA512 = (
    "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="
)
TIMEOUT_MS = 120_000
"""For one expectation: a busy machine makes four images in less."""

expect.set_options(timeout=TIMEOUT_MS)

WATCH = """
    window.violations = [];
    window.shifts = [];
    addEventListener("securitypolicyviolation",
      (event) => violations.push(`${event.violatedDirective}: ${event.blockedURI}`));
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) {
        const moved = entry.sources.map(({ node }) => node?.outerHTML?.slice(0, 80));
        shifts.push({ value: entry.value, hadRecentInput: entry.hadRecentInput, moved });
      }
    }).observe({ type: "layout-shift", buffered: true });
"""


def unavailable(reason: str) -> NoReturn:
    """Skip, or fail where BACKDROP_REQUIRE_BROWSER promises that nothing is missing."""
    if os.environ.get("BACKDROP_REQUIRE_BROWSER"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    names = ("chromium", "chromium-browser", "google-chrome")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if found is None:
        unavailable("no Chromium: install one, or name it in CHROMIUM")
    with sync_playwright() as playwright:
        # Its sandbox refuses to run as root.
        sandbox = os.geteuid() != 0
        browser = playwright.chromium.launch(executable_path=found, chromium_sandbox=sandbox)
        yield browser
        browser.close()


@pytest.fixture
def service(chromium: Browser, cluster: Cluster) -> str:
    """The address of a service whose first model is the demo weights, in few steps."""
    return cluster.url


@pytest.fixture
def context_options() -> dict[str, object]:
    """How the browser is set up; tests override it."""
    return {"viewport": {"width": 1280, "height": 900}}


@pytest.fixture
def context(chromium: Browser, context_options: dict[str, object]) -> Iterator[BrowserContext]:
    context = chromium.new_context(locale="en-US", **context_options)
    context.set_default_timeout(TIMEOUT_MS)
    context.add_init_script(WATCH)
    yield context
    context.close()


@pytest.fixture
def expected_failures() -> list[str]:
    """Parts of the console's words about answers that a test provokes; it appends them."""
    return []


@pytest.fixture
def open_chat(
    context: BrowserContext, expected_failures: list[str]
) -> Iterator[Callable[[str], Chat]]:
    """Opens the page; at the end nothing may have been complained about."""
    complaints: list[str] = []
    pages: list[Page] = []

    def heard(message: ConsoleMessage) -> None:
        provoked = any(part in message.text for part in expected_failures)
        if message.type in ("error", "warning") and not provoked:
            complaints.append(f"{message.type}: {message.text}")

    def open_at(url: str) -> Chat:
        page = context.new_page()
        page.on("console", heard)
        page.on("pageerror", lambda error: complaints.append(f"exception: {error}"))
        # Chromium is told only with the first listener, and nobody waits until it knows: a chooser
        # that opened meanwhile would be the real one.
        page.on("filechooser", lambda _: None)
        pages.append(page)
        page.goto(url)
        return Chat(page)

    yield open_at
    for page in pages:
        complaints += page.evaluate("window.violations")
    assert complaints == []


@pytest.fixture
def chat(service: str, open_chat: Callable[[str], Chat]) -> Chat:
    """The page, open and empty."""
    return open_chat(service)


@pytest.fixture
def serve_app() -> Iterator[Callable[[FastAPI], str]]:
    """Serves an application of the test's own on a loopback port."""
    running: list[tuple[uvicorn.Server, threading.Thread]] = []

    def start(app: FastAPI) -> str:
        port = free_port()
        server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error"))
        thread = threading.Thread(target=server.run)
        thread.start()
        running.append((server, thread))
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        return f"http://127.0.0.1:{port}"

    yield start
    for server, thread in running:
        server.should_exit = server.force_exit = True
        thread.join()


@pytest.fixture(scope="session")
def axe(pytestconfig: pytest.Config) -> str:
    """The source of axe-core, fetched once from npm's registry."""
    folder = pytestconfig.rootpath / ".pytest_cache" / "axe-core"
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / f"axe-core-{AXE_VERSION}.tgz"
    if not archive.exists():
        if shutil.which("npm") is None:
            unavailable("axe-core cannot be fetched without npm")
        command = ["npm", "pack", f"axe-core@{AXE_VERSION}", "--pack-destination", folder]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            unavailable(f"axe-core cannot be fetched: {done.stderr.strip()[-300:]}")
    digest = hashlib.sha512(archive.read_bytes()).digest()
    assert base64.b64encode(digest).decode() == AXE_SHA512, f"{archive} is not what was pinned"
    with tarfile.open(archive) as package:
        return package.extractfile("package/axe.min.js").read().decode()


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder for pictures of the page."""
    named = os.environ.get("BACKDROP_SCREENSHOTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
