"""Refuses configurations that would open the service to the wrong callers."""

from __future__ import annotations

import logging
from ipaddress import ip_address

from deployments.ingress.http.api_keys import FILE_VARIABLE, KEYS_VARIABLE
from deployments.missing import MissingHere
from deployments.settings import IngressSettings

logger = logging.getLogger(__name__)

_SET_KEYS = f"set {KEYS_VARIABLE} or {FILE_VARIABLE}"


class UnsafeConfiguration(ValueError, MissingHere):
    """Keys are missing, without which the service would be open to callers it is not meant for."""


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address, or the name localhost."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_exposure(settings: IngressSettings, *, keyed: bool, host: str | None) -> None:
    """Refuse a configuration that is surely a mistake, and log what an operator should know.

    Args:
        settings: The HTTP surface.
        keyed: API keys are set.
        host: What HTTP is served on; None where it is not served here.

    Raises:
        UnsafeConfiguration: Keys are off, and are required, or the results shall be private, or
            other machines can reach the service and nobody said that they may call it.
    """
    if keyed:
        return
    if settings.require_key:
        raise UnsafeConfiguration(f"ingress.require_key is on and there are no keys: {_SET_KEYS}")
    if not settings.public_results:
        raise UnsafeConfiguration(
            f"ingress.public_results is off, but without keys anybody may read: {_SET_KEYS}"
        )
    if host is None:
        return
    if is_loopback(host):
        logger.warning("no API keys are set: whoever is on this machine may call (%s)", host)
    elif settings.allow_anonymous:
        logger.warning("no API keys are set: whoever reaches %s may call", host)
    else:
        raise UnsafeConfiguration(
            f"other machines can reach {host} and no API keys are set: {_SET_KEYS}, listen on "
            "127.0.0.1 (http_options.host), or let everybody in with ingress.allow_anonymous: true"
        )
