"""How soon the chat page paints and what shifts in it, beside a line of JSON, in one Chromium.

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


SHIFTS = """() => new Promise((resolve) => {
    let sum = 0;
    new PerformanceObserver((list) => {
        for (const { value } of list.getEntries()) sum += value;
    }).observe({ type: "layout-shift", buffered: true });
    setTimeout(() => resolve(sum), 500);
})"""


def first_paint_ms(browser: Browser, url: str) -> tuple[float, float]:
    """Milliseconds from the navigation to the first contentful paint, and the CLS up to rest."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(url)
    painted: float = page.evaluate(PAINT)
    page.wait_for_load_state("networkidle")
    shifted: float = page.evaluate(SHIFTS)
    context.close()
    return painted, shifted


def measure(loads: int) -> dict[str, float]:
    """Load both pages in turns.

    Args:
        loads: Of each.

    Returns:
        Median and worst of the chat page and of the other, in ms, the medians' ratio, and the
        chat page's worst cumulative layout shift.
    """
    chat, plain, shifts = [], [], []
    with running() as (url, _), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        for _ in range(loads + 1):
            plain.append(first_paint_ms(browser, f"{url}/api/models")[0])
            painted, shifted = first_paint_ms(browser, url)
            chat.append(painted)
            shifts.append(shifted)
        browser.close()
    # The first of each warms up.
    chat, plain = chat[1:], plain[1:]
    return {
        "loads": loads,
        "chat_median_ms": round(statistics.median(chat), 1),
        "chat_worst_ms": round(max(chat), 1),
        "plain_median_ms": round(statistics.median(plain), 1),
        "plain_worst_ms": round(max(plain), 1),
        "chat_worst_cls": round(max(shifts), 4),
        "ratio": round(statistics.median(chat) / statistics.median(plain), 2),
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
