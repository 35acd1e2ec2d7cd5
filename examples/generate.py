"""Make variations of a photo, then a variation of the first result, and save all images.

    python examples/generate.py photo.png "Tropical beach" --then "Change background to forest"

Needs `requests`. BACKDROP_URL names another service than this machine's, and BACKDROP_KEY its key.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import requests

URL = os.environ.get("BACKDROP_URL", "http://127.0.0.1:8000").rstrip("/")
TIMEOUT_S = 300


def main() -> None:
    """Read the command line, call the service, and save what it makes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("photo", type=Path)
    parser.add_argument("prompt")
    parser.add_argument("--then", help="the prompt of a variation of the first image")
    parser.add_argument("--model", default="stable-diffusion")
    parser.add_argument("--images", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("backdrop-images"))
    options = parser.parse_args()

    session = requests.Session()
    if key := os.environ.get("BACKDROP_KEY"):
        session.headers["X-API-Key"] = key

    with options.photo.open("rb") as photo:
        answer = session.post(
            f"{URL}/api/generate",
            files={"image": photo},
            data={
                "prompt": options.prompt,
                "model": options.model,
                "num_images": options.images,
            },
            timeout=TIMEOUT_S,
        )
    made = images(answer)
    save(session, made, options.out)
    if options.then:
        answer = session.post(
            f"{URL}/api/variation",
            json={
                "image_url": made[0],
                "prompt": options.then,
                "model": options.model,
                "num_images": 1,
            },
            timeout=TIMEOUT_S,
        )
        save(session, images(answer), options.out)


def images(answer: requests.Response) -> list[str]:
    """The URLs of an answer, or the end with the service's own sentence."""
    body = answer.json()
    if not answer.ok:
        raise SystemExit(f"{answer.status_code}: {body['error']} ({body['request_id']})")
    for warning in body["warnings"]:
        print(f"warning: {warning}")
    urls: list[str] = body["images"]
    return urls


def save(session: requests.Session, urls: list[str], folder: Path) -> None:
    """Write images to a folder, under the names that the service gave them."""
    folder.mkdir(parents=True, exist_ok=True)
    for url in urls:
        answer = session.get(url, timeout=TIMEOUT_S)
        answer.raise_for_status()
        path = folder / url.rpartition("/")[2]
        path.write_bytes(answer.content)
        print(path)


if __name__ == "__main__":
    main()
