"""Which URLs a callback may go to.

A URL is read by one strict grammar. What another program might read in another way is refused, so
that what was checked is what is called.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address

from deployments.errors import InvalidRequest
from deployments.ingress.core.callbacks.addresses import Addresses
from deployments.webhook_settings import LONGEST_NAME, NAME, WebhookSettings, is_number

LONGEST = 2048
"""Characters of a URL, at most."""

_PORTS = {"http": 80, "https": 443}
_CHARACTERS = r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*"
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<authority>[^/?]+)"
    rf"(?P<path>(?:/{_CHARACTERS})?)(?P<query>(?:\?(?:{_CHARACTERS}|\?)*)?)",
    re.IGNORECASE | re.ASCII,
)
_AUTHORITY = re.compile(
    rf"(?P<host>{NAME}|\[[0-9a-f:.]+\])(?::(?P<port>[1-9][0-9]{{0,4}}))?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Target:
    """Where a callback goes.

    Attributes:
        url: In the form in which it is called.
        scheme: `http` or `https`.
        host: A name in lower case, or an IP address without brackets.
        port: Its port.
    """

    url: str
    scheme: str
    host: str
    port: int


class Targets:
    """Reads callback URLs, and refuses those that the operator does not allow.

    Args:
        settings: What is allowed.
    """

    def __init__(self, settings: WebhookSettings) -> None:
        self._settings = settings
        self._addresses = Addresses(settings.allow_networks)

    def read(self, url: str) -> Target:
        """See that a callback may go to a URL. Its name is not resolved here.

        Raises:
            InvalidRequest: It may not; the sentence says why.
        """
        if not self._settings.enabled:
            raise InvalidRequest("callback_url: the operator of this service allows no callbacks")
        target = _split(url)
        if target.scheme == "http" and not self._settings.allow_http:
            raise InvalidRequest("callback_url: it must begin with https://")
        is_address = _is_address(target.host)
        if is_address and not self._addresses.allow(target.host):
            raise InvalidRequest("callback_url: its host is an address that is not public")
        if not any(_matches(pattern, target, is_address) for pattern in self._settings.hosts):
            raise InvalidRequest(
                "callback_url: its host and port are none that the operator of this service allows"
            )
        return target


def _split(url: str) -> Target:
    if len(url) > LONGEST:
        raise InvalidRequest(f"callback_url: it has more than {LONGEST} characters")
    if not url.isascii():
        raise InvalidRequest(
            "callback_url: it has characters that are not ASCII: write a host in its xn-- form, "
            "and the rest percent-encoded"
        )
    if "#" in url:
        raise InvalidRequest("callback_url: it must have no fragment")
    match = _URL.fullmatch(url)
    if match is None:
        raise InvalidRequest("callback_url: it must be an absolute http or https URL")
    if "@" in match["authority"]:
        raise InvalidRequest("callback_url: it must have no user name and no password")
    scheme, authority = match["scheme"].lower(), match["authority"].lower()
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None or len(parts["host"]) > LONGEST_NAME:
        raise InvalidRequest("callback_url: its host must be a plain name, with or without a port")
    host = parts["host"].strip("[]")
    port = int(parts["port"]) if parts["port"] else _PORTS[scheme]
    if port > 65535:
        raise InvalidRequest("callback_url: its port is none")
    if (parts["host"] != host or is_number(host)) and not _is_address(host):
        raise InvalidRequest(
            "callback_url: its host must be a name, or an IP address in its usual form"
        )
    path = match["path"] or "/"
    return Target(f"{scheme}://{authority}{path}{match['query']}", scheme, host, port)


def _is_address(host: str) -> bool:
    """Whether a host is an IP address, in the one form that everybody reads alike."""
    try:
        return str(ip_address(host)) == host
    except ValueError:
        return False


def _matches(pattern: str, target: Target, is_address: bool) -> bool:
    """Whether a pattern of the settings allows a target."""
    own_port = target.port == _PORTS[target.scheme]
    if pattern == "*":
        return own_port and not is_address
    host, port = _with_port(pattern)
    if target.port != port if port is not None else not own_port:
        return False
    if host.startswith("*."):
        return not is_address and target.host.endswith(host[1:])
    return target.host == host


def _with_port(pattern: str) -> tuple[str, int | None]:
    if pattern.startswith("["):
        host, _, rest = pattern[1:].partition("]")
        return host, int(rest[1:]) if rest else None
    host, _, port = pattern.partition(":")
    return host, int(port) if port else None
