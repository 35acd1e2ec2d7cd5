"""What one admission replica carries: requests a second until it answers too late.

usage: python -m tests.bench.admission_load [--callers 2] [--held 20] [--seconds 8] [--json FILE]

A real Serve application of the admission and of callers that take, keep and give back places as
ingress replicas do, by the same code. Requests of four images come at random at a rate that grows
from round to round, whatever the answers are, and hold their places for `--held` seconds, in which
one image after the other is given back. The last rate whose p99 is at most 50 ms is what it
carries. On a machine of few cores the callers take a part of the rate.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import random
import time
from pathlib import Path
from typing import Any

from ray import serve

from deployments.admission.deployment import OnlyAdmission
from deployments.ingress.core.places_client import PlacesClient
from deployments.ingress.remote.metrics import RetryCounter
from deployments.ingress.remote.remote_backends import AdmissionHandle
from deployments.rate_settings import RateSettings
from tests.bench.service import progress
from tests.bench.soak import percentile

BOUND_MS = 50.0
GROWTH = 1.4
IMAGES = 4
MODEL = "model"
MOST_ROUNDS = 20


class Caller:
    """Asks for places as an ingress replica does.

    Args:
        admission: The admission deployment.
    """

    def __init__(self, admission: Any) -> None:
        handle = AdmissionHandle(admission, RetryCounter(), 30.0)
        self._client = PlacesClient(handle, lambda _: RateSettings())

    async def drive(self, rate: float, seconds: float, held_s: float, seed: int) -> list[float]:
        """Ask at a rate for some time.

        Args:
            rate: Requests a second.
            seconds: How long.
            held_s: Seconds for which places are held.
            seed: Of the arrivals.

        Returns:
            Milliseconds that each answer took.
        """
        rng, took = random.Random(seed), []  # noqa: S311 - no secret
        tasks: set[asyncio.Task[None]] = set()

        async def one() -> None:
            begun = time.perf_counter()
            places = await self._client.take(MODEL, "", IMAGES, 20)
            took.append((time.perf_counter() - begun) * 1000)
            for _ in range(IMAGES):
                await asyncio.sleep(held_s / IMAGES)
                places.release(made=True)
            places.close()

        begun = due = time.perf_counter()
        while due < begun + seconds:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.add(asyncio.create_task(one()))
            due += rng.expovariate(rate)
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if ended is not None:
                took.append(math.inf)
        return took


def start(callers: int) -> Any:
    """Run the application; the callers' handle."""
    light = {"ray_actor_options": {"num_cpus": 0.1}}
    admission = serve.deployment(name="admission", max_ongoing_requests=10_000, **light)
    counting = admission(OnlyAdmission).bind({MODEL: 10**9})
    caller = serve.deployment(name="caller", num_replicas=callers, max_ongoing_requests=4, **light)
    calling = caller(Caller).bind(counting)
    return serve.run(calling, name="admission_load", route_prefix=None)


def one_round(callers: Any, count: int, rate: float, args: argparse.Namespace) -> dict[str, float]:
    """Ask at a rate in all, and say how the answers were."""
    each = [
        callers.drive.remote(rate / count, args.held + args.seconds, args.held, seed)
        for seed in range(count)
    ]
    answers = [one.result() for one in each]
    # Only those count that came while as many places were held as the rate brings with it.
    late = [took[round(len(took) * args.held / (args.held + args.seconds)) :] for took in answers]
    took = sorted(ms for part in late for ms in part)
    asked = sum(map(len, answers)) / (args.held + args.seconds)
    found = {"rate": rate, "asked": asked}
    return found | {f"p{part}": percentile(took, part / 100) for part in (50, 99)}


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Raise the rate until twice in a row the p99 passes the bound, or the callers fall behind."""
    callers = start(args.callers)
    rounds, kept, rate = [], 0.0, float(args.first)
    while len(rounds) < MOST_ROUNDS and not (len(rounds) > 1 and all(map(_too_much, rounds[-2:]))):
        rounds.append(one_round(callers, args.callers, rate, args))
        progress(" ".join(f"{name} {value:.1f}" for name, value in rounds[-1].items()))
        kept = kept if _too_much(rounds[-1]) else rate
        rate *= GROWTH
    return {"carries": kept, "rounds": rounds}


def _too_much(found: dict[str, float]) -> bool:
    return found["p99"] > BOUND_MS or found["asked"] < 0.9 * found["rate"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--callers", type=int, default=2)
    parser.add_argument("--held", type=float, default=20.0, help="seconds a request holds places")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each round's measurement")
    parser.add_argument("--first", type=float, default=20.0, help="requests a second of the first")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    try:
        found = measure(args)
    finally:
        serve.shutdown()
    print(f"one admission carries {found['carries']:.0f} requests/s at p99 of {BOUND_MS:.0f} ms")
    if args.json:
        args.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
