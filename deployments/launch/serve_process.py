"""The launcher's child: `serve run`, which also reports what Serve says of its applications.

`python -m deployments.launch.serve_process CONFIG [DESCRIPTOR]` is `serve run --address local
CONFIG`. It ends when its standard input does, which its parent holds open while it lives; and each
second it writes one line of JSON to the descriptor, as `status.py` reads it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import ray
from ray import serve
from ray._private.worker import get_dashboard_url
from ray.serve.scripts import cli

INTERVAL_S = 1.0


def main() -> None:
    """Entry point."""
    config, *descriptors = sys.argv[1:]
    # A shell lets what it starts in the background ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    for descriptor in map(int, descriptors):
        # What Ray starts must not hold it open.
        os.set_inheritable(descriptor, False)
        threading.Thread(target=_report, args=(descriptor,), daemon=True).start()
    cli.main(["run", "--address", "local", config], prog_name="serve")


def _end_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os.kill(os.getpid(), signal.SIGINT)


def _report(descriptor: int) -> None:
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        while True:
            time.sleep(INTERVAL_S)
            # Not before: asking Serve would start another Ray.
            if not ray.is_initialized():
                continue
            # Where Ray or Serve's controller is away there is no report, and the parent sees that.
            with suppress(Exception):
                line = json.dumps(_seen())
                try:
                    print(line, file=out, flush=True)
                except OSError:
                    return


def _seen() -> dict[str, Any]:
    applications = serve.status().applications
    return {
        "dashboard": get_dashboard_url(),  # type: ignore[no-untyped-call]
        "applications": {name: asdict(told) for name, told in applications.items()},
    }


if __name__ == "__main__":
    main()
