"""Show images as they come: progress, each image as soon as it is done, and the end.

    python examples/events.py photo.png "Tropical beach"

Needs `requests`. BACKDROP_URL names another service than this machine's, and BACKDROP_KEY its key.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from typing import Any

import requests

URL = os.environ.get("BACKDROP_URL", "http://127.0.0.1:8000").rstrip("/")
SILENCE_S = 45
"""The service writes something every 15 s at least, so a longer silence is a lost connection."""


def main() -> None:
    """Ask for two images and print what happens."""
    path, prompt = sys.argv[1:]
    headers = {"Accept": "text/event-stream"}
    if key := os.environ.get("BACKDROP_KEY"):
        headers["X-API-Key"] = key
    with (
        open(path, "rb") as photo,
        requests.post(
            f"{URL}/api/generate",
            files={"image": photo},
            data={"prompt": prompt, "model": "stable-diffusion", "num_images": 2},
            headers=headers,
            stream=True,
            timeout=SILENCE_S,
        ) as answer,
    ):
        if not answer.ok:  # what is wrong with the request itself is no event
            raise SystemExit(answer.json()["error"])
        answer.encoding = "utf-8"
        for name, data in events(answer):
            if name == "progress":
                print(f"image {data['index']}: step {data['step']} of {data['steps']}")
            elif name == "image":
                print(f"image {data['index']}: {data['url']} (seed {data['seed']})")
            elif name == "withheld":
                print(f"image {data['index']} is kept back: {data['reason']}")
            elif name == "error":
                raise SystemExit(data["error"])
            elif name == "done":
                print(f"done: {len(data['images'])} images")


def events(answer: requests.Response) -> Iterator[tuple[str, dict[str, Any]]]:
    """The events of a stream: name and data of each."""
    name, data = "message", ""
    for line in answer.iter_lines(decode_unicode=True):
        if line.startswith("event:"):
            name = line.removeprefix("event:").strip()
        elif line.startswith("data:"):
            data += line.removeprefix("data:").strip()
        elif not line and data:  # an empty line ends an event
            yield name, json.loads(data)
            name, data = "message", ""


if __name__ == "__main__":
    main()
