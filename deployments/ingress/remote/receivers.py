"""Receivers of callbacks over HTTP: signed, and only at addresses that are allowed.

The name in a URL is resolved for each call. Its addresses are checked, and the connection goes to
one of those that were: nothing asks the name again in between. TLS is verified for the name.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import ssl
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from aiohttp import (
    AddrInfoType,
    ClientError,
    ClientSession,
    ClientSSLError,
    ClientTimeout,
    TCPConnector,
)
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from deployments.ingress.core.callbacks.addresses import Addresses
from deployments.ingress.core.callbacks.ports import NotReached, Outcome, Reply
from deployments.ingress.core.callbacks.signing import Signer
from deployments.ingress.core.callbacks.targets import Target
from deployments.webhook_settings import WebhookSettings

logger = logging.getLogger(__name__)

Resolve = Callable[[str, int], list[str]]
"""All addresses of a name, as the system's resolver writes them; OSError where it has none."""

MOST_ANSWERED = 16 * 1024
"""Bytes of an answer's body that are read, so that a receiver which sends one sees no error."""

RESOLVING = 4
"""Names that are looked up at the same time: a name server that does not answer holds a thread."""


class AddressRefused(OSError):
    """A name has only addresses where no callback may go."""


class Counting(Protocol):
    """Counts callbacks."""

    def count(self, outcome: Outcome) -> None:
        """Count one."""
        ...


class HttpReceivers:
    """`callbacks.ports.Receivers` over HTTP.

    Args:
        settings: Which addresses and authorities are allowed, and how long a call may take.
        signer: Signs what is sent; None where nothing ever is.
        counting: Counts.
        resolve: Looks names up.

    Raises:
        ValueError: The file of certificates cannot be used.
    """

    def __init__(
        self,
        settings: WebhookSettings,
        signer: Signer | None,
        counting: Counting,
        resolve: Resolve | None = None,
    ) -> None:
        self._addresses = Addresses(settings.allow_networks)
        self._timeout = ClientTimeout(total=settings.timeout_s)
        self._signer = signer
        self._counting = counting
        self._resolve = resolve or _resolve
        self._threads = ThreadPoolExecutor(RESOLVING, thread_name_prefix="callback-names")
        self._tls = ssl.create_default_context()
        if settings.ca_file is not None:
            try:
                self._tls.load_verify_locations(settings.ca_file)
            except OSError as error:  # ssl's own errors are among them
                raise ValueError(
                    f"webhooks.ca_file: {settings.ca_file}: {error.strerror or error}"
                ) from None

    async def post(self, target: Target, message_id: str, body: bytes) -> Reply:
        """See `Receivers.post`."""
        if self._signer is None:
            raise AssertionError("without a signer no URL is allowed")
        headers = {
            **self._signer.headers(message_id, int(time.time()), body),
            "Content-Type": "application/json",
            "User-Agent": "Backdrop-Webhooks",
        }
        connector = TCPConnector(
            resolver=_Checked(self._addresses, self._resolve, self._threads),
            use_dns_cache=False,
            family=socket.AF_UNSPEC,
            ssl=self._tls,
            force_close=True,
            socket_factory=self._socket,
        )
        try:
            async with (
                ClientSession(
                    connector=connector,
                    timeout=self._timeout,
                    auto_decompress=False,
                    trust_env=False,
                ) as session,
                session.post(
                    URL(target.url, encoded=True), data=body, headers=headers, allow_redirects=False
                ) as answer,
            ):
                await answer.content.read(MOST_ANSWERED)
                return Reply(answer.status, _seconds(answer.headers.get("Retry-After", "")))
        except TimeoutError:
            raise NotReached("the receiver took too long") from None
        except ClientSSLError:
            raise NotReached("the receiver has no valid certificate") from None
        except (ClientError, OSError, ValueError):
            # What exactly would tell a caller of the network in which this service is.
            raise NotReached("the receiver could not be reached") from None

    def count(self, outcome: Outcome) -> None:
        """See `Receivers.count`."""
        self._counting.count(outcome)

    def _socket(self, info: AddrInfoType) -> socket.socket:
        """Make the socket of a connection, at the last moment at which it can be refused."""
        family, kind, protocol, _, address = info
        if not self._addresses.allow(str(address[0])):
            raise AddressRefused(f"{address[0]} is not allowed")
        return socket.socket(family, kind, protocol)


class _Checked(AbstractResolver):
    """Looks a name up, and returns those of its addresses that are allowed."""

    def __init__(self, addresses: Addresses, resolve: Resolve, threads: ThreadPoolExecutor) -> None:
        self._addresses = addresses
        self._resolve = resolve
        self._threads = threads

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, self._resolve, host, port)
        allowed = [address for address in found if self._addresses.allow(address)]
        if not allowed:
            # For the operator alone: a caller must not learn what a name is inside.
            logger.warning("callbacks to %s are refused: %s", host, ", ".join(found))
            raise AddressRefused(f"{host} has no address that is allowed")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in allowed
        ]

    async def close(self) -> None:
        """Nothing is kept."""


def _resolve(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _seconds(text: str) -> float | None:
    """What `Retry-After` says in seconds; a date is not read."""
    return float(text) if re.fullmatch("[0-9]{1,6}", text.strip()) else None
