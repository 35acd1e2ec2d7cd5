"""Make images of a photo with OpenAI's package for Python, as they are done, and save them.

    python examples/openai_client.py photo.png "Tropical beach"

Needs `openai`. BACKDROP_URL names another service than this machine's, and BACKDROP_KEY its key.
"""

from __future__ import annotations

import argparse
import base64
import os
from pathlib import Path

from openai import APIError, OpenAI

URL = os.environ.get("BACKDROP_URL", "http://127.0.0.1:8000").rstrip("/")


def main() -> None:
    """Read the command line, call the service, and save what it makes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("photo", type=Path)
    parser.add_argument("prompt")
    parser.add_argument("--mask", type=Path, help="a PNG: what is opaque in it is kept")
    parser.add_argument("--model", default="stable-diffusion")
    parser.add_argument("--images", type=int, default=2)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--out", type=Path, default=Path("backdrop-images"))
    options = parser.parse_args()

    # Where the service asks for no key, any will do: the package wants one.
    client = OpenAI(base_url=f"{URL}/v1", api_key=os.environ.get("BACKDROP_KEY") or "none")
    # Fields that OpenAI does not have.
    ours = {} if options.seed is None else {"seed": options.seed}
    masked = {} if options.mask is None else {"mask": options.mask}
    try:
        events = client.images.edit(
            image=options.photo,
            prompt=options.prompt,
            model=options.model,
            n=options.images,
            stream=True,
            extra_body=ours,
            **masked,
        )
        for event in events:
            if event.type == "image_edit.completed":
                save(event.b64_json, options.out / f"openai-{event.seed}.{event.output_format}")
    except APIError as error:
        raise SystemExit(f"{error.code}: {error.message}") from None


def save(encoded: str, path: Path) -> None:
    """Write an image to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(base64.b64decode(encoded))
    print(path)


if __name__ == "__main__":
    main()
