"""How soon the chat page paints and can be used, and what shifts in it, beside a line of JSON.

`python -m tests.bench.page --json FILE`: the shipped configuration, a new browser context for each
load, so that nothing comes from a cache. Needs chromium.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.bench.service import running

PAINT = """() => new Promise((resolve) => new PerformanceObserver((list) => {
    const found = list.getEntriesByName("first-contentful-paint");
    if (found.length) resolve(found[0].startTime);
}).observe({ type: "paint", buffered: true }))"""

WATCH = """const watching = setInterval(() => {
    if (document.querySelector("main:not([inert])")) {
        window.usableMs = performance.now();
        clearInterval(watching);
    }
}, 5)"""
"""Notes when the page's controls stop being inert."""

SHIFTS = """() => new Promise((resolve) => {
    let sum = 0;
    new PerformanceObserver((list) => {
        for (const { value } of list.getEntries()) sum += value;
    }).observe({ type: "layout-shift", buffered: true });
    setTimeout(() => resolve(sum), 500);
})"""


def paint_ms(browser: Browser, url: str) -> float:
    """Milliseconds from the navigation to the first contentful paint of any page."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(url)
    painted: float = page.evaluate(PAINT)
    context.close()
    return painted


def chat_page(browser: Browser, url: str) -> tuple[float, float, float]:
    """Milliseconds to the first contentful paint and to where it can be used, and the CLS."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.add_init_script(WATCH)
    page.goto(url)
    painted: float = page.evaluate(PAINT)
    page.wait_for_function("() => window.usableMs")
    usable: float = page.evaluate("window.usableMs")
    page.wait_for_load_state("networkidle")
    shifted: float = page.evaluate(SHIFTS)
    context.close()
    return painted, usable, shifted


def measure(loads: int) -> dict[str, float]:
    """Load both pages in turns.

    Args:
        loads: Of each.

    Returns:
        Median and worst of the chat page and of the other, in ms, the medians' ratio, when the
        chat page can be used, and its worst cumulative layout shift.
    """
    chat, plain = [], []
    with running() as (url, _), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        for _ in range(loads + 1):
            plain.append(paint_ms(browser, f"{url}/api/models"))
            chat.append(chat_page(browser, url))
        browser.close()
    # The first of each warms up.
    plain = plain[1:]
    painted, usable, shifts = zip(*chat[1:], strict=True)
    return {
        "loads": loads,
        "chat_median_ms": round(statistics.median(painted), 1),
        "chat_worst_ms": round(max(painted), 1),
        "usable_median_ms": round(statistics.median(usable), 1),
        "plain_median_ms": round(statistics.median(plain), 1),
        "plain_worst_ms": round(max(plain), 1),
        "chat_worst_cls": round(max(shifts), 4),
        "ratio": round(statistics.median(painted) / statistics.median(plain), 2),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loads", type=int, default=15)
    parser.add_argument("--json", type=Path, help="write the numbers there as well")
    options = parser.parse_args()
    numbers = measure(options.loads)
    for name, value in numbers.items():
        print(f"{name:18} {value}")
    if options.json:
        options.json.write_text(json.dumps(numbers, indent=2))


if __name__ == "__main__":
    main()
