"""The npm package of the client, and the React example that is built with it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from playwright.sync_api import BrowserContext, Page, expect

from tests.npm import installed

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "react"
PHOTO = ROOT / "deployments" / "samples" / "coffee.png"
PACKAGES = tuple(
    f"{name}@{version}"
    for group in ("dependencies", "devDependencies")
    for name, version in json.loads((EXAMPLE / "package.json").read_text())[group].items()
    if name != "backdrop-client"
)


@pytest.fixture(scope="module")
def npm(pytestconfig: pytest.Config) -> Path:
    """A folder with what the example needs, fetched once from npm's registry."""
    return installed(pytestconfig, *PACKAGES)


@pytest.fixture(scope="module")
def package(npm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("npm") / "package"
    tsc = npm / "node_modules" / ".bin" / "tsc"
    script = ROOT / "scripts" / "npm_package.py"
    run(ROOT, {}, sys.executable, script, "--tsc", tsc, "--out", folder)
    return folder


@pytest.fixture
def example(npm: Path, package: Path, service: str, tmp_path: Path) -> Path:
    """The example's built page, whose client calls the service."""
    folder = tmp_path / "react"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("node_modules", "dist"))
    shutil.copytree(npm / "node_modules", folder / "node_modules", symlinks=True)
    shutil.copytree(package, folder / "node_modules" / "backdrop-client")
    run(folder, {"VITE_BACKDROP_URL": service}, "npm", "run", "build")
    return folder / "dist"


def run(folder: Path, environment: dict[str, str], *command: object) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_package_has_what_it_names(package: Path) -> None:
    told = json.loads((package / "package.json").read_text())
    packed = json.loads(run(package, {}, "npm", "pack", "--dry-run", "--json"))
    (listed,) = packed if isinstance(packed, list) else packed.values()
    files = {file["path"] for file in listed["files"]}
    assert files == {"client.js", "client.d.ts", "package.json", "README.md", "LICENSE"}
    assert {told["types"], told["exports"]["."]["default"]} == {"./client.d.ts", "./client.js"}
    types = (package / "client.d.ts").read_text()
    for name in ("export class BackdropClient", "cutOut(", "resume(", "export type CutOut ="):
        assert name in types


def test_a_wrong_client_makes_no_package(npm: Path, tmp_path: Path) -> None:
    tsc, out = npm / "node_modules" / ".bin" / "tsc", tmp_path / "package"
    script = tmp_path / "root" / "scripts" / "npm_package.py"
    client = tmp_path / "root" / "deployments" / "ingress" / "http" / "page" / "client.js"
    for folder in (script.parent, client.parent):
        folder.mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "npm_package.py", script)
    shutil.copy(ROOT / "pyproject.toml", script.parents[1])
    client.write_text("/** @type {number} */\nexport const limit = 'none';\n")
    done = subprocess.run(
        [sys.executable, script, "--tsc", tsc, "--out", out], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "is not assignable to type 'number'" in done.stdout
    assert "the types of client.js could not be made" in done.stderr
    assert not out.exists()


def test_the_example_makes_images_and_goes_on_when_it_is_loaded_again(
    example: Path, context: BrowserContext, serve_app: Callable[[FastAPI], str]
) -> None:
    app = FastAPI()
    app.mount("/", StaticFiles(directory=example, html=True))
    page = context.new_page()
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.goto(serve_app(app))
    send(page, "Tropical beach")
    page.wait_for_function("localStorage.getItem('backdrop-job') !== null")
    page.reload()
    images = page.locator(".images img")
    expect(images).to_have_count(4)
    for image in images.all():
        image.scroll_into_view_if_needed()
        expect(image).to_have_js_property("complete", True)
        assert image.evaluate("image => image.naturalWidth") > 0
    expect(page.get_by_role("status")).to_have_text("")
    assert page.evaluate("localStorage.getItem('backdrop-job')") is None
    assert failures == []


def test_the_example_says_what_is_wrong_in_a_sentence(
    example: Path, context: BrowserContext, serve_app: Callable[[FastAPI], str]
) -> None:
    app = FastAPI()
    app.mount("/", StaticFiles(directory=example, html=True))
    page = context.new_page()
    page.goto(serve_app(app))
    send(page, "a" * 30_000)
    expect(page.get_by_text("prompt must have at most")).to_be_visible()
    expect(page.get_by_role("button", name="Make four")).to_be_enabled()


def send(page: Page, prompt: str) -> None:
    expect(page.get_by_label("Model").locator("option")).not_to_have_count(0)
    page.get_by_label("Photo").set_input_files(PHOTO)
    page.get_by_label("Scene").fill(prompt)
    page.get_by_role("button", name="Make four").click()
