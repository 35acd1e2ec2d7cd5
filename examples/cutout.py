"""Cut the product out of a photo, look at it, correct it, and make images of it.

    python examples/cutout.py photo.png "Tropical beach"
    python examples/cutout.py photo.png "Tropical beach" --point 0.5,0.4 --keep strokes.png

Strokes are pictures in white on black, with the photo's aspect ratio. Needs `requests`.
BACKDROP_URL names another service than this machine's, and BACKDROP_KEY its key.
"""

from __future__ import annotations

import argparse
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import requests

URL = os.environ.get("BACKDROP_URL", "http://127.0.0.1:8000").rstrip("/")
TIMEOUT_S = 300


def main() -> None:
    """Read the command line, call the service, and save what it makes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("photo", type=Path)
    parser.add_argument("prompt")
    parser.add_argument("--keep", type=Path, help="strokes over what belongs to the product")
    parser.add_argument("--remove", type=Path, help="strokes over what does not")
    parser.add_argument("--point", help="x,y of a place in the product: shares of both sides")
    parser.add_argument("--model", default="stable-diffusion")
    parser.add_argument("--images", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("backdrop-images"))
    options = parser.parse_args()

    session = requests.Session()
    if key := os.environ.get("BACKDROP_KEY"):
        session.headers["X-API-Key"] = key

    found = cut_out(session, {}, {"image": options.photo})
    hints = {name: path for name in ("keep", "remove") if (path := getattr(options, name))}
    if hints or options.point:
        # The service still has the photo: only the hints are sent.
        fields = {"cutout": found["cutout"], "point": options.point or ""}
        found = cut_out(session, fields, hints)
    save(session, [found["image_url"], found["mask_url"]], options.out)

    # A form without a file: `requests` takes the pairs of `files` for fields of one.
    answer = session.post(
        f"{URL}/api/generate",
        files={
            "cutout": (None, found["cutout"]),
            "prompt": (None, options.prompt),
            "model": (None, options.model),
            "num_images": (None, str(options.images)),
        },
        timeout=TIMEOUT_S,
    )
    save(session, body_of(answer)["images"], options.out)


def cut_out(
    session: requests.Session, fields: dict[str, str], paths: dict[str, Path]
) -> dict[str, Any]:
    """Ask for a cut-out, and print what is known of it."""
    with ExitStack() as opened:
        files: dict[str, Any] = {
            name: opened.enter_context(path.open("rb")) for name, path in paths.items()
        }
        files |= {name: (None, value) for name, value in fields.items()}
        answer = session.post(f"{URL}/api/cutout", files=files, timeout=TIMEOUT_S)
    body = body_of(answer)
    box = body["box"]
    print(
        f"cut out: {box['width']} x {box['height']} pixels at {box['left']},{box['top']}, "
        f"certainty {body['certainty']:.2f}"
    )
    return body


def body_of(answer: requests.Response) -> dict[str, Any]:
    """The body of an answer, or the end with the service's own sentence."""
    body: dict[str, Any] = answer.json()
    if not answer.ok:
        raise SystemExit(f"{answer.status_code}: {body['error']} ({body['request_id']})")
    for warning in body["warnings"]:
        print(f"warning: {warning}")
    return body


def save(session: requests.Session, urls: list[str], folder: Path) -> None:
    """Write pictures to a folder, under the names that the service gave them."""
    folder.mkdir(parents=True, exist_ok=True)
    for url in urls:
        answer = session.get(url, timeout=TIMEOUT_S)
        answer.raise_for_status()
        path = folder / url.rpartition("/")[2]
        path.write_bytes(answer.content)
        print(path)


if __name__ == "__main__":
    main()
