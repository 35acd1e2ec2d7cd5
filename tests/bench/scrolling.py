"""How a long conversation opens and scrolls in Chromium: 60 turns with four images each.

usage: python -m tests.bench.scrolling [--turns 60] [--width 1440] [--json FILE]

The page and its routes are the real ones, over a service in memory whose models paint noise: only
what the browser does is measured. The turns are put into its store, and all of them are looked at
once, so that the smaller copies are made, as they are when a turn is finished. Then the page is
loaded again.
`open_s` ends when the images in sight are drawn. Then Chromium scrolls through all of it, up and
down, as a finger does; a frame counts as dropped for each 60th of a second that it comes late.
Needs chromium.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import uvicorn
from playwright.sync_api import Page, sync_playwright

from deployments.jobs import Pixels
from tests.bench.service import PHOTO, progress
from tests.serve.conftest import free_port
from tests.unit.ingress.memory import Surface, surface

IMAGES = 4
FRAME_MS = 1000 / 60
SPEED_PX_S = 2400

FILL = """(turns) => new Promise((resolve, reject) => {
    const opening = indexedDB.open(`backdrop ${new URL(".", document.baseURI).pathname}`);
    opening.onerror = () => reject(opening.error);
    opening.onsuccess = () => {
        const change = opening.result.transaction(["talks", "turns"], "readwrite");
        change.objectStore("talks").put({ id: "long", name: "", created: 1, draft: null });
        for (const turn of turns) change.objectStore("turns").put(turn);
        change.oncomplete = resolve;
    };
    sessionStorage.setItem("backdrop-conversation", "long");
})"""
OPENED = """() => {
    const inSight = [...document.querySelectorAll("li img")].filter((image) => {
        const { top, bottom } = image.getBoundingClientRect();
        return bottom > 0 && top < innerHeight;
    });
    if (!inSight.length || inSight.some(({ complete, naturalWidth }) => !complete || !naturalWidth))
        return null;
    return performance.now();
}"""
FRAMES = """() => {
    window.frames_ = [];
    if (window.counting) return;
    window.counting = true;
    const next = (at) => { frames_.push(at); requestAnimationFrame(next); };
    requestAnimationFrame(next);
}"""
WATCH = """
    window.shifted = 0;
    new PerformanceObserver((list) => {
        for (const { value, hadRecentInput } of list.getEntries())
            if (!hadRecentInput) shifted += value;
    }).observe({ type: "layout-shift", buffered: true });
"""


def noise(pixels: Pixels, number: int) -> None:
    """Paint coarse noise, so that no two images are alike nor compress to nothing."""
    height, width, _ = pixels.shape
    coarse = np.random.default_rng(number).integers(0, 255, (12, 18, 3), dtype=np.uint8)
    rows = np.arange(height) * coarse.shape[0] // height
    columns = np.arange(width) * coarse.shape[1] // width
    pixels[:] = coarse[rows][:, columns]


@contextmanager
def served() -> Iterator[str]:
    """The service in memory, on loopback."""
    with tempfile.TemporaryDirectory() as folder:
        ready: list[uvicorn.Server] = []
        port = free_port()

        def serve() -> None:
            async def run() -> None:
                made: Surface = surface(Path(folder))
                made.models.gate.set()
                made.models.paint = noise
                config = uvicorn.Config(made.app, host="127.0.0.1", port=port, log_level="error")
                ready.append(uvicorn.Server(config))
                await ready[0].serve()

            asyncio.run(run())

        thread = threading.Thread(target=serve)
        thread.start()
        while not ready or not ready[0].started:
            time.sleep(0.05)
        try:
            yield f"http://127.0.0.1:{port}/"
        finally:
            ready[0].should_exit = True
            thread.join()


def made_turns(url: str, turns: int) -> list[dict[str, Any]]:
    """Make the images of all turns; the turns as the page keeps them."""
    found = []
    fields = {
        "prompt": "Perfume backdrop",
        "model": "stable-diffusion",
        "preserve_product": "false",
    }
    with httpx.Client(base_url=url, timeout=300) as client:
        for number in range(turns):
            progress(f"turn {number + 1} of {turns}")
            answer = client.post(
                "/api/generate",
                data={**fields, "num_images": str(IMAGES)},
                files={"image": PHOTO.read_bytes()},
            ).raise_for_status()
            body = answer.json()
            results = [
                {"url": image, "seed": seed, "fidelity": None}
                for image, seed in zip(body["images"], body["seeds"], strict=True)
            ]
            recipe = {"prompt": f"Perfume backdrop, {number}", "numImages": IMAGES}
            turn = {"id": f"turn-{number}", "conversation": "long", "created": number + 1}
            kept = {"recipe": recipe, "modelName": "Stable Diffusion", "status": "finished"}
            empty = {"photo": None, "mask": None, "imageUrl": None, "sent": None, "failure": None}
            lists = {"results": results, "warnings": [], "absent": []}
            found.append({**turn, **kept, **empty, **lists, "aspect": 1.5, "tookS": 3})
    return found


def height_of(page: Page) -> int:
    """How far the page can be scrolled, in pixels."""
    height: int = page.evaluate("document.documentElement.scrollHeight - innerHeight")
    return height


def frames_of(page: Page, height: int) -> list[float]:
    """Scroll by a number of pixels, down where it is positive; the gaps between frames in ms."""
    page.evaluate(FRAMES)
    scroll(page, height)
    at: list[float] = page.evaluate("frames_")
    return [after - before for before, after in itertools.pairwise(at)]


def scroll(page: Page, height: int) -> None:
    """Scroll by a number of pixels, down where it is positive, as a finger does."""
    session = page.context.new_cdp_session(page)
    size = page.viewport_size
    assert size is not None
    session.send(
        "Input.synthesizeScrollGesture",
        {
            "x": size["width"] / 2,
            "y": size["height"] / 3,
            "yDistance": -height,
            "speed": SPEED_PX_S,
            "gestureSourceType": "mouse",
        },
    )


def measure(turns: int, width: int) -> dict[str, float]:
    """Open the conversation, and scroll through it both ways.

    Args:
        turns: Of four images each.
        width: Of the window, in pixels.

    Returns:
        Seconds until it is open, the pixels scrolled, frames that were drawn and dropped, the
        longest gap between two frames and that of the slowest hundredth in ms, and the CLS.
    """
    with served() as url, sync_playwright() as playwright:
        all_turns = made_turns(url, turns)
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), chromium_sandbox=os.geteuid() != 0
        )
        context = browser.new_context(viewport={"width": width, "height": 900})
        context.add_init_script(WATCH)
        page = context.new_page()
        page.goto(url)
        page.get_by_role("form", name="New image").wait_for()
        page.evaluate(FILL, all_turns)
        page.reload()
        page.wait_for_function(OPENED, polling="raf", timeout=120_000)
        scroll(page, -height_of(page))
        page.wait_for_load_state("networkidle")
        page.reload()
        opened = page.wait_for_function(OPENED, polling="raf", timeout=120_000).json_value()
        page.wait_for_timeout(1000)
        height = height_of(page)
        gaps = frames_of(page, -height) + frames_of(page, height)
        shifted = page.evaluate("shifted")
        browser.close()
    late = [max(0, round(gap / FRAME_MS) - 1) for gap in gaps]
    return {
        "turns": turns,
        "open_s": round(opened / 1000, 2),
        "scrolled_px": 2 * height,
        "frames": len(gaps),
        "dropped": sum(late),
        "dropped_share": round(sum(late) / (len(gaps) + sum(late)), 4),
        "slowest_hundredth_ms": round(statistics.quantiles(gaps, n=100)[-1], 1),
        "longest_ms": round(max(gaps), 1),
        "cls": round(shifted, 4),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=60)
    parser.add_argument("--width", type=int, default=1440)
    parser.add_argument("--json", type=Path, help="write the numbers there as well")
    options = parser.parse_args()
    numbers = measure(options.turns, options.width)
    for name, value in numbers.items():
        print(f"{name:22} {value}")
    if options.json:
        options.json.write_text(json.dumps(numbers, indent=2))


if __name__ == "__main__":
    main()
