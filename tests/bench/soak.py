"""Clients of several kinds for a long while: what they got, and what the service kept of it.

usage: python -m tests.bench.soak [--minutes 60] [--clients 12] [--steps 4] [--json FILE]

The shipped configuration with a store of its own. Callers ask for JSON and for streams, carry on
conversations, leave in the middle, send what is wrong, read results and remove some. At the start
and the end stand the service's memory, threads, open files and temporary files, and the memory of
every minute between, with the processes that grew most in the second half; at the end its store is
examined: every image with its recipe and what it was made from, and every URL readable
that was given out and not removed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from storage.filesystem import FilesystemStore
from tests.bench.service import PHOTO, progress, running
from tests.store_consistency import examine

MODELS = ("stable-diffusion", "controlnet")
SETTLE_S = 5.0


@dataclass
class Seen:
    """What the clients saw.

    Attributes:
        answers: (status, seconds) of each answer, by the kind of client; status 0 is none.
        kept: URLs that were given out and not removed.
        removed: URLs that were removed.
    """

    answers: dict[str, list[tuple[int, float]]] = field(default_factory=lambda: defaultdict(list))
    kept: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)


class Caller:
    """One client, with a connection of its own."""

    def __init__(self, http: httpx.AsyncClient, seen: Seen, steps: int) -> None:
        self._http = http
        self._seen = seen
        self._steps = steps
        self._photo = PHOTO.read_bytes()

    def _form(self, **fields: object) -> dict[str, object]:
        data = {
            "prompt": random.choice(("Sunset beach", "Forest", "Marble table")),  # noqa: S311
            "model": random.choice(MODELS),  # noqa: S311
            "num_images": "2",
            "steps": str(self._steps),
        }
        data.update({name: str(value) for name, value in fields.items()})
        return {"data": data, "files": {"image": ("photo.png", self._photo)}}

    async def _timed(self, kind: str, call: Awaitable[httpx.Response]) -> httpx.Response | None:
        begun = time.monotonic()
        try:
            answer = await call
        except httpx.TransportError:
            self._seen.answers[kind].append((0, time.monotonic() - begun))
            return None
        self._seen.answers[kind].append((answer.status_code, time.monotonic() - begun))
        if answer.status_code in (429, 503):
            await asyncio.sleep(float(answer.headers["retry-after"]))
        return answer

    async def json(self) -> None:
        answer = await self._timed("json", self._http.post("/api/generate", **self._form()))
        if answer is not None and answer.is_success:
            self._seen.kept.update(answer.json()["images"])

    async def stream(self) -> None:
        begun, status = time.monotonic(), 0
        headers = {"Accept": "text/event-stream"}
        try:
            async with self._http.stream(
                "POST", "/api/generate", headers=headers, **self._form()
            ) as answer:
                status, event = answer.status_code, ""
                async for line in answer.aiter_lines():
                    if line.startswith("event: "):
                        event = line.removeprefix("event: ")
                    elif event == "image" and line.startswith("data: "):
                        self._seen.kept.add(json.loads(line[6:])["url"])
                    elif event == "error" and line.startswith("data: "):
                        status = 500
        except httpx.TransportError:
            status = 0
        self._seen.answers["stream"].append((status, time.monotonic() - begun))

    async def converse(self) -> None:
        answer = await self._timed(
            "json", self._http.post("/api/generate", **self._form(num_images=1))
        )
        for prompt in ("Change background to forest", "Make it evening"):
            if answer is None or not answer.is_success:
                return
            (url,) = answer.json()["images"]
            self._seen.kept.add(url)
            body = {"image_url": url, "prompt": prompt, "model": "controlnet", "num_images": 1}
            answer = await self._timed(
                "variation", self._http.post("/api/variation", json=body | {"steps": self._steps})
            )
        if answer is not None and answer.is_success:
            self._seen.kept.update(answer.json()["images"])

    async def leave(self) -> None:
        begun = time.monotonic()
        headers = {"Accept": "text/event-stream"}
        async with self._http.stream(
            "POST", "/api/generate", headers=headers, **self._form(steps=3 * self._steps)
        ) as answer:
            async for line in answer.aiter_lines():
                if line == "event: progress":
                    break
        self._seen.answers["leaves"].append((answer.status_code, time.monotonic() - begun))

    async def err(self) -> None:
        await self._timed("wrong", self._http.post("/api/generate", **self._form(steps=0)))
        broken = {**self._form(), "files": {"image": ("photo.png", self._photo[:5000])}}
        await self._timed("wrong", self._http.post("/api/generate", **broken))

    async def read(self) -> None:
        for url in random.sample(sorted(self._seen.kept), min(5, len(self._seen.kept))):
            await self._timed("read", self._http.get(url))

    async def remove(self) -> None:
        if len(self._seen.kept) > 20:
            url = self._seen.kept.pop()
            answer = await self._timed("remove", self._http.delete(url))
            if answer is not None and answer.is_success:
                self._seen.removed.add(url)


async def soak(url: str, clients: int, steps: int, seconds: float) -> Seen:
    seen = Seen()
    until = time.monotonic() + seconds

    async def one(number: int) -> None:
        async with httpx.AsyncClient(base_url=url, timeout=300) as http:
            caller = Caller(http, seen, steps)
            kinds: tuple[Callable[[], Awaitable[None]], ...] = (
                caller.json, caller.stream, caller.converse, caller.leave, caller.err, caller.read,
                caller.remove,
            )  # fmt: skip
            turn = number
            while time.monotonic() < until:
                await kinds[turn % len(kinds)]()
                turn += 1

    await asyncio.gather(*(one(number) for number in range(clients)))
    return seen


def resources(pid: int, temporary: Path) -> dict[str, float]:
    """What a service and all its processes hold."""
    processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return {
        "memory MB": sum(process.memory_full_info().uss for process in processes) / 2**20,
        "open files": sum(process.num_fds() for process in processes),
        "threads": sum(process.num_threads() for process in processes),
        "processes": len(processes),
        "temporary files": sum(len(files) for _, _, files in os.walk(temporary)),
    }


class MemoryWatch:
    """Notes every minute how much memory is each process' own.

    Args:
        pid: The service's first process.
        every_s: Seconds between two looks.

    Attributes:
        minutes: MB by what a process calls itself, of each look.
    """

    def __init__(self, pid: int, every_s: float = 60) -> None:
        self.minutes: list[Counter[str]] = []
        self._pid = pid
        self._every_s = every_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(self._every_s):
            self.minutes.append(self._look())

    def _look(self) -> Counter[str]:
        found = Counter[str]()
        for process in psutil.Process(self._pid).children(recursive=True):
            with suppress(psutil.Error):
                title = " ".join(process.cmdline()[:3])[-60:]
                found[title] += process.memory_full_info().uss / 2**20
        return found

    def report(self) -> dict[str, object]:
        totals = [round(sum(minute.values())) for minute in self.minutes]
        grown: dict[str, int] = {}
        if len(self.minutes) > 1:
            half, last = self.minutes[len(self.minutes) // 2], self.minutes[-1]
            grown = {title: round(last[title] - half[title]) for title in last}
        most = sorted(grown.items(), key=lambda pair: -pair[1])[:4]
        return {"memory by minute": totals, "grew most, second half": dict(most)}


async def unreadable(url: str, kept: set[str]) -> list[str]:
    async with httpx.AsyncClient(base_url=url, timeout=60) as http:
        return [image for image in kept if (await http.get(image)).status_code != 200]


def percentile(times: list[float], share: float) -> float:
    return sorted(times)[int(share * (len(times) - 1))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--clients", type=int, default=12)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        temporary, data = Path(folder) / "tmp", Path(folder) / "data"
        temporary.mkdir()
        os.environ["TMPDIR"] = str(temporary)  # of the service's processes
        with running(data=data) as (url, pid):
            progress("warming up")
            asyncio.run(soak(url, options.clients, options.steps, 10))
            time.sleep(SETTLE_S)
            before = resources(pid, temporary)
            progress(f"{options.clients} clients for {options.minutes:g} minutes")
            with MemoryWatch(pid) as watch:
                seen = asyncio.run(soak(url, options.clients, options.steps, options.minutes * 60))
            time.sleep(SETTLE_S)
            after = resources(pid, temporary)
            lost = asyncio.run(unreadable(url, seen.kept))
            found = examine(FilesystemStore(data))
    report: dict[str, object] = {}
    for kind, answers in sorted(seen.answers.items()):
        times = [seconds for _, seconds in answers]
        statuses = sorted({status for status, _ in answers})
        report[kind] = {
            "answers": {status: sum(s == status for s, _ in answers) for status in statuses},
            "median s": round(statistics.median(times), 3),
            "p95 s": round(percentile(times, 0.95), 3),
            "p99 s": round(percentile(times, 0.99), 3),
        }
    report["5xx or no answer"] = sum(
        status == 0 or status >= 500 for answers in seen.answers.values() for status, _ in answers
    )
    report["before"] = {name: round(value, 1) for name, value in before.items()}
    report["after"] = {name: round(value, 1) for name, value in after.items()}
    report |= watch.report()
    report["images"] = len(found.images)
    report["given out and kept"] = len(seen.kept)
    report["of these unreadable"] = len(lost)
    report["removed but still stored"] = sum(
        url.rsplit("/", 1)[1].removesuffix(".png") in found.images for url in seen.removed
    )
    report["inconsistencies"] = found.wrong
    report["half-written results"] = len(found.unfinished)
    report["sources nobody needs"] = len(found.unneeded)
    for name, value in report.items():
        print(f"{name:<28}{value}")
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
