"""Settings of callbacks: whom the service may tell of background requests, and how."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
NAME = rf"{_LABEL}(?:\.{_LABEL})*"
"""A host's name, in lower case and without a dot at its end; other scripts in their xn-- form."""

_PATTERN = re.compile(rf"(?P<any>\*\.)?(?P<host>{NAME}|\[[0-9a-f:]+\])(?::(?P<port>\d{{1,5}}))?")
LONGEST_NAME = 253


def is_number(name: str) -> bool:
    """Whether resolvers may read a name as an IPv4 address: its last label is a number.

    Args:
        name: A name that `NAME` matches.
    """
    last = name.rpartition(".")[2]
    return last.isdecimal() or re.fullmatch("0x[0-9a-f]*", last) is not None


def _host(given: str) -> str:
    """See that this is `*`, or a host, or all below a name, maybe with a port."""
    if given == "*":
        return given
    match = _PATTERN.fullmatch(given)
    if match is None or not _is_host(match["host"], below=match["any"] is not None):
        raise ValueError(
            f"{given!r} is no host: write hooks.shop.example, *.shop.example for all below a name, "
            "an IP address (IPv6 in brackets), or * for every name; and :port where it is not the "
            "scheme's own"
        )
    if match["port"] is not None and not 1 <= int(match["port"]) <= 65535:
        raise ValueError(f"{given!r} has a port that is none")
    return given


def _is_host(host: str, *, below: bool) -> bool:
    if host.startswith("[") or is_number(host):
        try:
            address = ipaddress.ip_address(host.strip("[]"))
        except ValueError:
            return False
        return not below and str(address) == host.strip("[]")
    return len(host) <= LONGEST_NAME and not (below and "." not in host)


def _network(given: str) -> str:
    try:
        network = ipaddress.ip_network(given)
    except ValueError as error:
        raise ValueError(f"{given!r} is no network such as 10.20.0.0/16: {error}") from None
    if network.prefixlen == 0:
        raise ValueError(f"{given!r} would allow every address")
    return given


def _certificates(given: str) -> str:
    if not Path(given).is_absolute():
        raise ValueError(f"{given!r} is no absolute path")
    return given


class WebhookSettings(BaseModel):
    """Whom `callback_url` may name, and how they are told.

    Attributes:
        hosts: Hosts that may be named: a name, `*.name` for all below one, an IP address, or `*`
            for every name; with `:port` where it is not the scheme's own. None allows no callbacks.
        allow_http: Also call without TLS.
        allow_networks: Networks that hosts may be in though they are private, such as 10.20.0.0/16.
        ca_file: PEM file of further authorities whose certificates are trusted.
        at_once: How many one ingress replica calls at the same time, half of them on one host.
        timeout_s: Seconds after which a call counts as failed.
        retry_s: Seconds until a failed call is made again. Each wait is four times the last one, 4
            hours at most.
        give_up_s: Seconds of failures after which an event is given up.
        max_waiting: Background requests whose callbacks are not done, about; over it new ones with
            a callback_url get 429.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    hosts: tuple[Annotated[str, AfterValidator(_host)], ...] = Field((), max_length=256)
    allow_http: bool = False
    allow_networks: tuple[Annotated[str, AfterValidator(_network)], ...] = Field((), max_length=64)
    ca_file: Annotated[str, AfterValidator(_certificates)] | None = None
    at_once: int = Field(16, ge=2, le=256)
    timeout_s: float = Field(15.0, gt=0, le=120)
    retry_s: float = Field(5.0, ge=0.05, le=3600)
    give_up_s: float = Field(86_400.0, gt=0, le=604_800)
    max_waiting: int = Field(10_000, ge=1, le=100_000)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        given = [
            name for name in ("allow_http", "allow_networks", "ca_file") if getattr(self, name)
        ]
        if given and not self.hosts:
            raise ValueError(f"{given[0]} says how hosts are called, and hosts names none")
        return self

    @property
    def enabled(self) -> bool:
        """Whether there may be callbacks at all."""
        return bool(self.hosts)
