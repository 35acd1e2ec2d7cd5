"""Make variations of a photo, then a variation of the first result, and save all images.

    python examples/generate.py photo.png "Tropical beach" --then "Change background to forest"

Needs `httpx`, and the one file of the client. BACKDROP_URL names another service than this
machine's, and BACKDROP_KEY its key.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from deployments.client import LOCAL, Backdrop, BackdropError, Result  # or from your copy of it


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

    url, key = os.environ.get("BACKDROP_URL", LOCAL), os.environ.get("BACKDROP_KEY")
    with Backdrop(url, api_key=key, wait_s=60) as backdrop:
        try:
            made = backdrop.generate(
                options.photo,
                prompt=options.prompt,
                model=options.model,
                num_images=options.images,
            )
            save(backdrop, made, options.out)
            if options.then:
                varied = backdrop.variation(
                    made.images[0], prompt=options.then, model=options.model, num_images=1
                )
                save(backdrop, varied, options.out)
        except BackdropError as error:
            raise SystemExit(f"{error.code}: {error} ({error.request_id})") from error


def save(backdrop: Backdrop, made: Result, folder: Path) -> None:
    """Write images to a folder, under the names that the service gave them."""
    folder.mkdir(parents=True, exist_ok=True)
    for warning in made.warnings:
        print(f"warning: {warning}")
    for image in made.images:
        print(backdrop.save(image, folder / image.rpartition("/")[2]))


if __name__ == "__main__":
    main()
