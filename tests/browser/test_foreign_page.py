"""client.js in a page of another origin, in a real browser: only browsers hide why a call fails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fastapi import FastAPI
from playwright.sync_api import BrowserContext
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from deployments.settings import CorsSettings, IngressSettings
from tests.documents import ROOT
from tests.serve.conftest import free_port
from tests.unit.ingress.memory import surface

CALL = """
    async (service) => {
      const { BackdropClient } = await import("/copy/client.js");
      const client = new BackdropClient({ baseUrl: service, apiKey: "shop", retries: 0 });
      try {
        return (await client.models()).map(({ id }) => id);
      } catch ({ code, message }) {
        return { code, message };
      }
    }
"""


def test_a_page_that_may_not_call_is_told(
    context: BrowserContext, serve_app: Callable[[FastAPI], str], tmp_path: Path
) -> None:
    def service(name: str, *, localhost: bool) -> str:
        cors = CorsSettings(localhost=localhost)
        return serve_app(surface(tmp_path / name, IngressSettings(cors=cors)).app)

    shop = FastAPI()
    shop.mount("/copy", StaticFiles(directory=ROOT / "deployments" / "ingress" / "http" / "page"))

    @shop.get("/")
    async def home() -> HTMLResponse:
        return HTMLResponse("<!doctype html><title>Shop</title>")

    origin = serve_app(shop)
    page = context.new_page()
    page.goto(origin)
    assert page.evaluate(CALL, service("open", localhost=True))[0] == "stable-diffusion"
    assert page.evaluate(CALL, service("closed", localhost=False)) == {
        "code": "cors",
        "message": f"the service does not let pages of {origin} call it: its cors.origins must "
        "have this origin",
    }
    assert page.evaluate(CALL, f"http://127.0.0.1:{free_port()}") == {
        "code": "network",
        "message": "the service cannot be reached",
    }
