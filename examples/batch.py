"""Make images for a folder of photos, several requests at a time, in a run that may be cut off.

    python examples/batch.py photos "Tropical beach" "Marble table" --out images

Every photo is made with every prompt. `images/results.jsonl` gets a line for each pair that is
done. Start the command again after a break: it goes on with what is missing. A pair whose answer
got lost is not made twice, because its request has an Idempotency-Key of its own.

Needs `requests`. BACKDROP_URL names another service than this machine's, and BACKDROP_KEY its key.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import requests

URL = os.environ.get("BACKDROP_URL", "http://127.0.0.1:8000").rstrip("/")
TIMEOUT_S = 300
ATTEMPTS = 10
SUFFIXES = {".png", ".jpg", ".jpeg", ".webp"}


def main() -> None:
    """Make what is missing, and say at the end what failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("photos", type=Path, help="a folder")
    parser.add_argument("prompts", nargs="+")
    parser.add_argument("--model", default="stable-diffusion")
    parser.add_argument("--images", type=int, default=1, help="of each photo and prompt")
    parser.add_argument("--parallel", type=int, default=4, help="requests at a time")
    parser.add_argument("--out", type=Path, default=Path("backdrop-images"))
    options = parser.parse_args()

    options.out.mkdir(parents=True, exist_ok=True)
    results = options.out / "results.jsonl"
    lines = results.read_text(encoding="utf-8").splitlines() if results.exists() else []
    done = {(line["photo"], line["prompt"]) for line in map(json.loads, lines)}
    photos = sorted(path for path in options.photos.iterdir() if path.suffix.lower() in SUFFIXES)
    missing = [
        (photo, prompt)
        for photo in photos
        for prompt in options.prompts
        if (photo.name, prompt) not in done
    ]
    print(f"{len(missing)} to make, {len(done)} done before")

    failed = 0
    with ThreadPoolExecutor(options.parallel) as pool, results.open("a", encoding="utf-8") as log:
        jobs = {
            pool.submit(make, photo, prompt, options.model, options.images, options.out): photo
            for photo, prompt in missing
        }
        for job in as_completed(jobs):
            try:
                line = job.result()
            except (OSError, RuntimeError) as error:
                failed += 1
                print(f"{jobs[job].name}: {error}")
                continue
            log.write(json.dumps(line) + "\n")
            log.flush()
            print(f"{line['photo']}: {', '.join(line['files'])}")
    if failed:
        raise SystemExit(f"{failed} failed; start it again to try them again")


def make(photo: Path, prompt: str, model: str, count: int, folder: Path) -> dict[str, Any]:
    """Make and save the images of one photo and prompt.

    Raises:
        OSError: The service cannot be reached, or a file not be read or written.
        RuntimeError: The service refuses the request; the message is its sentence.
    """
    content = photo.read_bytes()
    asked = [hashlib.sha256(content).hexdigest(), prompt, model, str(count)]
    headers = {"Idempotency-Key": hashlib.sha256("\n".join(asked).encode()).hexdigest()}
    if key := os.environ.get("BACKDROP_KEY"):
        headers["X-API-Key"] = key
    for attempt in range(1, ATTEMPTS + 1):
        answer = requests.post(
            f"{URL}/api/generate",
            files={"image": (photo.name, content)},
            data={"prompt": prompt, "model": model, "num_images": count},
            headers=headers,
            timeout=TIMEOUT_S,
        )
        wait_s = answer.headers.get("Retry-After")
        if wait_s is None or attempt == ATTEMPTS:
            break
        time.sleep(float(wait_s))  # 429 and 503 say when there will be room
    body = answer.json()
    if not answer.ok:
        raise RuntimeError(body["error"])
    files = []
    for url in body["images"]:
        image = requests.get(url, headers=headers, timeout=TIMEOUT_S)
        image.raise_for_status()
        path = folder / f"{photo.stem}-{url.rpartition('/')[2]}"
        path.write_bytes(image.content)
        files.append(path.name)
    return {"photo": photo.name, "prompt": prompt, "seeds": body["seeds"], "files": files}


if __name__ == "__main__":
    main()
