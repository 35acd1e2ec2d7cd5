"""What is to be started: a configuration file, what it leaves open, and what is wrong with it.

Reads files, the environment and addresses; starts and downloads nothing.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployments.config import BUILDER, our_applications, read_config
from deployments.diffusion.weights.sources import WeightsError, hub_names
from deployments.ingress.core.callbacks.signing import Signer
from deployments.ingress.http.api_keys import FILE_VARIABLE, KEYS_VARIABLE, KeyRing
from deployments.ingress.http.exposure import check_exposure, is_loopback
from deployments.launch.errors import LaunchError
from deployments.missing import MissingHere
from deployments.settings import AppArgs
from deployments.studio.credentials import CredentialsRefused, load_signer
from deployments.studio.finder_weights import FinderError
from deployments.studio.finders import check_finder

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8000
USUAL_NAME = "serve_config.yaml"
PACKAGED = Path(__file__).parents[1] / USUAL_NAME
"""The default configuration, which is in the package too."""


@dataclass(frozen=True, slots=True)
class Application:
    """One application of ours in a configuration.

    Attributes:
        name: What Serve calls it.
        prefix: Its route prefix without a slash at the end; None where it has no route.
        args: Its arguments.
        environment: Variables that its replicas get from the configuration.
        place: Where it stands in the file, for messages.
    """

    name: str
    prefix: str | None
    args: AppArgs
    environment: dict[str, str]
    place: str

    @property
    def full_environment(self) -> dict[str, str]:
        """All variables that its replicas get when they are started from here."""
        return os.environ | self.environment


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Something that would keep the service from working here.

    Attributes:
        sentence: Begins with its place in the file.
        missing: Only this machine lacks it, and another may have it; else it is wrong on all.
    """

    sentence: str
    missing: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """A configuration that has been read, and where it will listen.

    Attributes:
        file: Where it was read from.
        document: The document with host and port filled in.
        host: What Serve's proxy listens on.
        port: Its port.
        applications: Those of ours, in the order of the file.
    """

    file: Path
    document: dict[str, Any]
    host: str
    port: int
    applications: tuple[Application, ...]

    @property
    def url(self) -> str:
        """Where this machine reaches the proxy."""
        reached = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)  # noqa: S104 - only compared
        return f"http://{reached}:{self.port}"

    @property
    def first(self) -> Application:
        """The application that the launcher speaks to: the first of ours that has a route."""
        return next(each for each in self.applications if each.prefix is not None)

    @property
    def root(self) -> str:
        """What the addresses of the first application start with."""
        return f"{self.url}{self.first.prefix}"


def find_config(given: Path | None) -> Path:
    """The file to read: what was given, else that of this folder, else that of the package."""
    if given is not None:
        return given
    here = Path(USUAL_NAME)
    return here if here.exists() else PACKAGED


def make_plan(file: Path, port: int | None = None) -> Plan:
    """Read a configuration.

    Args:
        file: A Serve configuration.
        port: Takes the place of the configuration's.

    Raises:
        ConfigError: It cannot be read, or holds what is not known.
        LaunchError: None of its applications is ours.
    """
    document = read_config(file)
    http = document.setdefault("http_options", None) or {}
    document["http_options"] = http
    if port is not None:
        http["port"] = port
    # Serve's own default is every address of this machine.
    host, port = http.setdefault("host", DEFAULT_HOST), http.get("port", DEFAULT_PORT)
    applications = tuple(
        Application(
            name=entry.get("name", "default"),
            prefix=_prefix(entry),
            args=args,
            environment=(entry.get("runtime_env") or {}).get("env_vars") or {},
            place=place,
        )
        for place, entry, args in our_applications(document)
    )
    if all(each.prefix is None for each in applications):
        raise LaunchError(f"{file}: no application with import_path {BUILDER} has a route")
    return Plan(file, document, host, int(port), applications)


def _prefix(entry: Mapping[str, Any]) -> str | None:
    prefix = entry.get("route_prefix", "/")
    return None if prefix is None else prefix.rstrip("/")


def obstacles(plan: Plan) -> Iterator[Obstacle]:
    """What would keep the service from working here, though the file alone is in order."""
    for application in plan.applications:
        for index, model in enumerate(application.args.models):
            try:
                hub_names(model)
            except WeightsError as error:
                yield _obstacle(f"{application.place}.args.models.{index}: ", error)
        try:
            check_finder(application.args.studio.finder)
        except FinderError as error:
            yield _obstacle(f"{application.place}.args.studio.", error)
        environment = application.full_environment
        try:
            load_signer(environment)
        except CredentialsRefused as error:
            yield _obstacle(f"{application.place}: ", error)
        ingress = application.args.ingress
        try:
            if ingress.webhooks.enabled:
                Signer(environment)
        except ValueError as error:
            yield _obstacle(f"{application.place}.args.ingress: ", error)
        try:
            KeyRing.from_environment(ingress.max_images, environment)
            check_exposure(ingress, keyed=_keyed(application), host=plan.host)
        except ValueError as error:
            yield _obstacle(f"{application.place}.args.ingress: ", error)


def _obstacle(place: str, error: Exception) -> Obstacle:
    return Obstacle(f"{place}{error}", isinstance(error, MissingHere))


def check_port(plan: Plan) -> None:
    """Refuse an address that cannot be listened on.

    Raises:
        LaunchError: Something else has it, it is not this machine's, or it needs other rights.
    """
    try:
        family = socket.getaddrinfo(plan.host, plan.port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((plan.host, plan.port))
    except (OSError, OverflowError) as error:
        raise LaunchError(
            f"port {plan.port} on {plan.host} cannot be used ({error}); "
            "set PORT to another, for example: make run PORT=8001"
        ) from None


def who_may_call(plan: Plan) -> str | None:
    """A sentence about callers where an application has no keys; None where all have them."""
    if all(_keyed(application) for application in plan.applications):
        return None
    reach = (
        "whoever is on this machine" if is_loopback(plan.host) else f"whoever reaches {plan.host}"
    )
    return f"no API keys are set: {reach} may call"


def _keyed(application: Application) -> bool:
    environment = application.full_environment
    return any(environment.get(name) for name in (KEYS_VARIABLE, FILE_VARIABLE))
