"""`serve run` as a child in a session of its own, and the end of all that it started.

Every process that Ray starts stays in the session of its first one, also when its parent dies. So
the session is what is looked at and ended, not the tree of parents and children.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from deployments.ingress.http.middleware.request_ids import PROXY_HOOK, PROXY_MIDDLEWARES

ONE_MACHINE = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""With it the Ray node is 127.0.0.1, as on macOS, and Ray's own ports are this machine's alone.

Otherwise its metrics and its processes listen on all addresses, whatever `http_options.host` says;
and an address of 127.0.0.1 that one asks for is not taken. Serve's replicas still listen on all of
them for calls of one another, and ask for Ray's token.
"""

VITAL = ("gcs_server", "raylet")
"""Processes without which a Ray node does nothing more; nobody starts them again."""

STOP_TIMEOUT_S = 20.0
LEFTOVERS_TIMEOUT_S = 5.0
KILL_TIMEOUT_S = 10.0


@contextmanager
def serve_run(
    config: Path, *, output: int | None = None, reports: int | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `serve run`, and at the end of the context end it with everything it started.

    It also ends by itself when this process dies, whatever kills it.

    Args:
        config: A Serve configuration.
        output: What its output goes to, as `subprocess` takes it; None for this process's.
        reports: A descriptor that it writes what Serve says of the applications to.

    Yields:
        The child; its process id is that of the session.
    """
    command = [sys.executable, "-m", "deployments.launch.serve_process", str(config)]
    inherited = () if reports is None else (reports,)
    command += map(str, inherited)
    environment = {
        "RAY_USAGE_STATS_ENABLED": "0",
        **ONE_MACHINE,
        # Two requests that are alike are two lines.
        "RAY_DEDUP_LOGS": "0",
        PROXY_HOOK: PROXY_MIDDLEWARES,
        "PYTHONUNBUFFERED": "1",
        **_ray_token(),
        **os.environ,
    }
    child = subprocess.Popen(  # noqa: S603 - our own interpreter
        command,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.STDOUT if output is not None else None,
        pass_fds=inherited,
        start_new_session=True,
    )
    try:
        yield child
    finally:
        end(child)


def _ray_token() -> dict[str, str]:
    """A token for this Ray alone where there is no home for the one that Ray would keep there."""
    home = Path("~").expanduser()
    return {} if os.access(home, os.W_OK) else {"RAY_AUTH_TOKEN": secrets.token_hex(32)}


def session(child: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The living processes of a child's session, the child among them."""
    return [process for process in psutil.process_iter() if _belongs(process, child.pid)]


def _belongs(process: psutil.Process, session_id: int) -> bool:
    try:
        return os.getsid(process.pid) == session_id and is_alive(process)
    except (OSError, psutil.NoSuchProcess):
        return False


def is_alive(process: psutil.Process) -> bool:
    """Whether a process runs; a dead one stays listed until its parent takes notice."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def end(child: subprocess.Popen[bytes]) -> None:
    """End a child and its session: politely where its node lives, else at once."""
    # A second Ctrl-C must not leave half of it running.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # Serve can only say goodbye to a node that lives; otherwise it would wait for it in vain.
    names = {process.name() for process in session(child)}
    if child.poll() is None and names.issuperset(VITAL):
        child.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            child.wait(STOP_TIMEOUT_S)
        psutil.wait_procs(session(child), timeout=LEFTOVERS_TIMEOUT_S)
    deadline = time.monotonic() + KILL_TIMEOUT_S
    while (rest := session(child)) and time.monotonic() < deadline:
        for process in rest:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        child.poll()
        psutil.wait_procs(rest, timeout=0.5)
    child.wait()
    if child.stdin is not None:
        child.stdin.close()
