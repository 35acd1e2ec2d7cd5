"""Make a job of each photo and follow them all: they go on when this program is ended.

    python examples/jobs.py "Tropical beach" one.png two.png three.png

Start it again with the same photos: the keys are the same, so it gets the jobs that there are. For
a whole catalogue `backdrop batch` does this and more.

Needs `httpx`, and the one file of the client. BACKDROP_URL names another service than this
machine's, and BACKDROP_KEY its key.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
from pathlib import Path

from deployments.client import (  # or from your copy of it
    LOCAL,
    AsyncBackdrop,
    BackdropError,
    Image,
    Waiting,
)

MODEL = "stable-diffusion"


async def main() -> None:
    """Read the command line and work on all photos at the same time."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("prompt")
    parser.add_argument("photos", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, default=Path("backdrop-images"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    url, key = os.environ.get("BACKDROP_URL", LOCAL), os.environ.get("BACKDROP_KEY")
    async with AsyncBackdrop(url, api_key=key, wait_s=300) as backdrop:
        await asyncio.gather(
            *(make(backdrop, photo, options.prompt, options.out) for photo in options.photos)
        )


async def make(backdrop: AsyncBackdrop, photo: Path, prompt: str, folder: Path) -> None:
    """Follow a photo's job to its end, and save each image as soon as it is there."""
    content = photo.read_bytes()
    asked = hashlib.sha256(content + f"\n{prompt}\n{MODEL}".encode()).hexdigest()
    try:
        job = await backdrop.submit(
            content, prompt=prompt, model=MODEL, num_images=1, idempotency_key=asked
        )
        async for event in backdrop.follow(job.id):
            if isinstance(event, Waiting):
                print(f"{photo.name}: place {event.place}")
            elif isinstance(event, Image):
                path = folder / f"{photo.stem}-{event.index + 1}.png"
                print(f"{photo.name}: {await backdrop.save(event.url, path)}")
    except BackdropError as error:
        print(f"{photo.name}: {error.code}: {error}")


if __name__ == "__main__":
    asyncio.run(main())
