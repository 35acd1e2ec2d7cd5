"""`make run`: starts the service, makes four images from the sample photo, and stays up.

Runs `serve run` as a child with a Ray of its own, and ends everything it started. Knows the service
only through HTTP.
"""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path
from types import FrameType
from typing import Any

import httpx
import psutil
import yaml

from deployments.config import BUILDER, ConfigError, read_config
from deployments.ingress.http.api_keys import FILE_VARIABLE, KEYS_VARIABLE, KeyRing, a_secret
from deployments.ingress.http.exposure import check_exposure, is_loopback
from deployments.ingress.http.middleware.request_ids import PROXY_HOOK, PROXY_MIDDLEWARES
from deployments.settings import AppArgs

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8000
START_TIMEOUT_S = 180.0
SAMPLE_TIMEOUT_S = 300.0
STOP_TIMEOUT_S = 20.0
PROMPT = "Tropical beach"  # what the demo weights draw best


class LaunchError(Exception):
    """The service cannot be started; the message is one sentence for the terminal."""


class _Stopped(BaseException):
    """A signal asked for the end."""


def main() -> None:
    """Entry point of the `backdrop` command."""
    parser = argparse.ArgumentParser(prog="backdrop", description=__doc__)
    parser.add_argument("--config", type=Path, default=Path("serve_config.yaml"))
    parser.add_argument("--port", type=int, default=None, help="instead of the configuration's")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _stop)
    # Set even where the shell ignores it for background jobs, so that the child gets the default.
    signal.signal(signal.SIGINT, _stop)
    try:
        _serve(options.config, options.port)
    except (LaunchError, ConfigError) as error:
        sys.exit(f"backdrop: {error}")
    except _Stopped:
        print("backdrop: stopped", flush=True)


def _stop(number: int, frame: FrameType | None) -> None:
    raise _Stopped


def _serve(config: Path, port: int | None) -> None:
    document = read_config(config)
    http = document.setdefault("http_options", {})
    if port is not None:
        http["port"] = port
    # Serve's own default is every address of this machine.
    host, port = http.setdefault("host", DEFAULT_HOST), http.get("port", DEFAULT_PORT)
    _check_port(host, port)
    for application in _ours(document):
        _check_exposure(application, host)
    with tempfile.TemporaryDirectory(prefix="backdrop-") as folder:
        effective = Path(folder) / config.name
        effective.write_text(yaml.safe_dump(document), encoding="utf-8")
        with serve_run(effective) as child:
            here = f"http://{_reachable(host)}:{port}"
            print(f"backdrop: starting on {here}", flush=True)
            _wait_until_up(child, here)
            _make_sample(child, here, document)
            print(f"backdrop: up on {here} ({_pages(here, document)}), Ctrl-C ends it", flush=True)
            code = child.wait()
            raise LaunchError(f"the service ended by itself with exit code {code}")


def _pages(here: str, document: dict[str, Any]) -> str:
    """What a browser may open."""
    chat = any(
        AppArgs.model_validate(application.get("args") or {}).ingress.playground
        for application in _ours(document)
    )
    docs = f"API docs: {here}/docs"
    return f"chat page: {here}/, {docs}" if chat else docs


def _check_exposure(application: dict[str, Any], host: str) -> None:
    """Say who may call, and stop before Ray starts what its replica would refuse."""
    settings = AppArgs.model_validate(application.get("args") or {}).ingress
    own = (application.get("runtime_env") or {}).get("env_vars") or {}
    keyed = any((os.environ | own).get(name) for name in (KEYS_VARIABLE, FILE_VARIABLE))
    try:
        KeyRing.from_environment()
        check_exposure(settings, keyed=keyed, host=host)
    except ValueError as error:
        raise LaunchError(str(error)) from None
    if not keyed:
        reach = "whoever is on this machine" if is_loopback(host) else f"whoever reaches {host}"
        print(f"backdrop: no API keys are set: {reach} may call", flush=True)


def _check_port(host: str, port: int) -> None:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except (OSError, OverflowError) as error:
        raise LaunchError(
            f"port {port} on {host} cannot be used ({error}); "
            "set PORT to another, for example: make run PORT=8001"
        ) from None


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104 - only compared


@contextmanager
def serve_run(config: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`serve run` in a session of its own, ended with all its descendants at the end."""
    command = [sys.executable, "-m", "ray.serve.scripts", "run", "--address", "local", str(config)]
    environment = {
        "RAY_USAGE_STATS_ENABLED": "0",
        PROXY_HOOK: PROXY_MIDDLEWARES,
        "PYTHONUNBUFFERED": "1",
        **_ray_token(),
        **os.environ,
    }
    child = subprocess.Popen(command, env=environment, start_new_session=True)  # noqa: S603 - our own interpreter
    try:
        yield child
    finally:
        _end(child)


def _ray_token() -> dict[str, str]:
    """A token for this Ray alone where there is no home for the one that Ray would keep there."""
    home = Path("~").expanduser()
    return {} if os.access(home, os.W_OK) else {"RAY_AUTH_TOKEN": secrets.token_hex(32)}


def _end(child: subprocess.Popen[bytes]) -> None:
    # A second Ctrl-C must not leave half of it running.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("backdrop: stopping", flush=True)
    try:
        started = psutil.Process(child.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        started = []
    if child.poll() is None:
        child.send_signal(signal.SIGINT)
        try:
            child.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    _, alive = psutil.wait_procs(started, timeout=5)
    for process in alive:
        process.kill()
    psutil.wait_procs(alive, timeout=5)


def _wait_until_up(child: subprocess.Popen[bytes], here: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if child.poll() is not None:
            raise LaunchError(f"the service ended at its start with exit code {child.returncode}")
        try:
            answer = httpx.get(f"{here}/api/models", timeout=30, headers=_key())
            # Where keys are known by their digests alone, a refusal is all there is to see.
            if answer.is_success or answer.status_code == httpx.codes.UNAUTHORIZED:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.3)
    raise LaunchError(f"the service was not up within {START_TIMEOUT_S:g} s")


def _make_sample(child: subprocess.Popen[bytes], here: str, document: dict[str, Any]) -> None:
    """Send the sample photo through the API, as any client would, and show where the images are."""
    models = httpx.get(f"{here}/api/models", timeout=10, headers=_key())
    if models.status_code == httpx.codes.UNAUTHORIZED:
        print("backdrop: no images of the sample photo: no key is told in plain", flush=True)
        return
    print(f"backdrop: making four images of the sample photo: {PROMPT!r}", flush=True)
    model = models.json()["models"][0]["id"]
    with as_file(files("deployments") / "samples" / "coffee.png") as photo:
        try:
            answer = httpx.post(
                f"{here}/api/generate",
                files={"image": (photo.name, photo.read_bytes(), "image/png")},
                data={"prompt": PROMPT, "model": model, "num_images": "4", "seed": "1"},
                headers=_key(),
                timeout=SAMPLE_TIMEOUT_S,
            )
        except httpx.TransportError as error:
            raise LaunchError(f"the sample request got no answer: {error}") from None
    if not answer.is_success:
        # The other models may serve on, so this is no reason to stop.
        print(f"backdrop: model {model!r} made no images: {answer.json()['error']}", flush=True)
        return
    for url in answer.json()["images"]:
        print(f"  {url}", flush=True)
    for folder in _folders(document):
        print(f"backdrop: their files are in {folder}", flush=True)


def _key() -> dict[str, str]:
    """A key of the operator's own, where one is told in plain."""
    secret = a_secret()
    return {} if secret is None else {"X-API-Key": secret}


def _folders(document: dict[str, Any]) -> Iterator[Path]:
    for application in _ours(document):
        store = AppArgs.model_validate(application.get("args") or {}).storage.store
        if store.kind == "filesystem":
            yield Path(store.path).resolve() / "generated"


def _ours(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [entry for entry in document["applications"] if entry["import_path"] == BUILDER]


if __name__ == "__main__":
    main()
