"""Unit tests cannot reach Ray or the network: the guard of `conftest.py` holds."""

import socket

import pytest
import ray


@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("shop.example", 443)])
@pytest.mark.parametrize("method", ["connect", "connect_ex"])
def test_other_hosts_are_refused(address, method):
    with socket.socket() as sock, pytest.raises(pytest.fail.Exception, match=address[0]):
        getattr(sock, method)(address)


def test_loopback_and_local_pairs_are_open():
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()
    for end in socket.socketpair():
        end.close()


def test_ray_is_refused():
    with pytest.raises(pytest.fail.Exception, match="starts Ray"):
        ray.init()
