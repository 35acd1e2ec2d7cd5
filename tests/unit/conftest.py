"""Unit tests use no Ray and no network.

Loopback stays open: what is tested against an unreachable server needs a closed port of it.
"""

from __future__ import annotations

import socket
from ipaddress import ip_address
from typing import Any

import pytest
import ray

_connect = socket.socket.connect
_connect_ex = socket.socket.connect_ex


def _refuse_network(sock: socket.socket, address: Any) -> None:
    if sock.family in (socket.AF_INET, socket.AF_INET6) and not _is_loopback(address[0]):
        pytest.fail(f"a unit test connects to {address[0]}")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _guarded_connect(sock: socket.socket, address: Any) -> None:
    _refuse_network(sock, address)
    _connect(sock, address)


def _guarded_connect_ex(sock: socket.socket, address: Any) -> int:
    _refuse_network(sock, address)
    return _connect_ex(sock, address)


def _no_ray(*args: object, **kwargs: object) -> None:
    pytest.fail("a unit test starts Ray")


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse what only the suites beside this one may use."""
    monkeypatch.setattr(socket.socket, "connect", _guarded_connect)
    monkeypatch.setattr(socket.socket, "connect_ex", _guarded_connect_ex)
    monkeypatch.setattr(ray, "init", _no_ray)
