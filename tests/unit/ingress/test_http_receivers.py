"""Callbacks over real HTTP and TLS: where they go, what they carry, and what stops them."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import threading
import time
from asyncio.selector_events import BaseSelectorEventLoop
from dataclasses import dataclass, field
from typing import Any

import pytest
from standardwebhooks import Webhook

from deployments.ingress.core.callbacks.ports import NotReached, Outcome
from deployments.ingress.core.callbacks.signing import SECRETS_VARIABLE, Signer
from deployments.ingress.core.callbacks.targets import Target
from deployments.ingress.remote import receivers
from deployments.ingress.remote.receivers import HttpReceivers
from deployments.webhook_settings import WebhookSettings
from tests.callback_receiver import Authority, Receiver

SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()
HOST = "hooks.shop.example"
BODY = '{"type":"job.done","data":{"prompt":"Café"}}'.encode()
LOOPBACK = ["127.0.0.0/8", "::1/128"]


@dataclass
class Names:
    """A name server: what it says of every name, answer by answer; the last one stays.

    Attributes:
        asked: Names that were looked up.
    """

    answers: list[list[str]]
    asked: list[str] = field(default_factory=list)

    def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class Nobody:
    def count(self, outcome: Outcome) -> None:
        pass


def made(names: Names | None = None, **settings: Any) -> HttpReceivers:
    fields = {"hosts": ["*"], "allow_networks": LOOPBACK, "timeout_s": 20, **settings}
    signer = Signer({SECRETS_VARIABLE: SECRET})
    resolve = names or Names([["127.0.0.1"]])
    return HttpReceivers(WebhookSettings(**fields), signer, Nobody(), resolve)


def target(receiver: Receiver, scheme: str = "http", host: str = HOST, rest: str = "/x") -> Target:
    return Target(f"{scheme}://{host}:{receiver.port}{rest}", scheme, host, receiver.port)


@pytest.fixture
def receiver():
    with Receiver() as running:
        yield running


@pytest.fixture
def authority(tmp_path) -> Authority:
    return Authority(tmp_path)


async def test_what_is_sent_is_what_was_signed(receiver):
    reply = await made().post(target(receiver, rest="/hook?a=%20b%2Fc&d=%E2%82%AC"), "msg_1", BODY)
    assert (reply.status, reply.retry_after_s) == (204, None)
    (message,) = receiver.messages
    assert message.path == "/hook?a=%20b%2Fc&d=%E2%82%AC"
    assert message.body == BODY
    assert Webhook(SECRET).verify(message.body, message.headers) == json.loads(BODY)
    assert message.headers["host"] == f"{HOST}:{receiver.port}"
    assert message.headers["content-type"] == "application/json"
    assert message.headers["user-agent"] == "Backdrop-Webhooks"
    assert "authorization" not in message.headers
    assert "cookie" not in message.headers


async def test_tls_is_verified_for_the_name(authority):
    with Receiver(authority.certify(HOST)) as receiver:
        sender = made(ca_file=str(authority.file))
        assert (await sender.post(target(receiver, "https"), "msg_1", BODY)).status == 204
        (message,) = receiver.messages
        assert message.server_name == HOST
        assert message.headers["host"] == f"{HOST}:{receiver.port}"
        # The same server under another name, and by somebody who does not know the authority.
        for other, sent in (
            (sender, target(receiver, "https", "other.shop.example")),
            (made(), target(receiver, "https")),
        ):
            with pytest.raises(NotReached, match="no valid certificate"):
                await other.post(sent, "msg_2", BODY)
        # Not TLS at all.
        with pytest.raises(NotReached):
            await sender.post(target(receiver, "http"), "msg_3", BODY)
        assert len(receiver.messages) == 1


async def test_a_certificate_that_has_ended_is_none(authority):
    with Receiver(authority.certify(HOST, ends_days=-1)) as receiver:
        with pytest.raises(NotReached, match="no valid certificate"):
            await made(ca_file=str(authority.file)).post(target(receiver, "https"), "m", BODY)
        assert receiver.messages == []


async def test_a_certificate_of_an_address(authority):
    with Receiver(authority.certify("127.0.0.1")) as receiver:
        sender = made(ca_file=str(authority.file))
        sent = target(receiver, "https", "127.0.0.1")
        assert (await sender.post(sent, "msg_1", BODY)).status == 204


async def test_a_name_is_looked_up_for_each_call_and_once(receiver):
    names = Names([["127.0.0.1"]])
    sender = made(names)
    for _ in range(2):
        await sender.post(target(receiver), "msg_1", BODY)
    assert names.asked == [HOST] * 2


INNER = [
    "169.254.169.254",
    "10.0.0.1",
    "::ffff:127.0.0.1",
    "fe80::1%1",
    "64:ff9b::7f00:1",
    "0.0.0.1",
]


async def test_a_name_that_leads_inside_is_not_called(receiver, monkeypatch, caplog):
    connected = watch(monkeypatch)
    for address in [*INNER, "127.0.0.1", "::1"]:
        # In none of these is even the loopback allowed.
        with pytest.raises(NotReached, match=r"^the receiver could not be reached$"):
            await made(Names([[address]]), allow_networks=[]).post(target(receiver), "m", BODY)
    with pytest.raises(NotReached):
        await made(Names([INNER])).post(target(receiver), "m", BODY)
    assert connected == receiver.messages == []
    assert f"callbacks to {HOST} are refused: 169.254.169.254" in caplog.text


def watch(monkeypatch) -> list[object]:
    """Addresses to which a connection was tried."""
    connected: list[object] = []
    real = BaseSelectorEventLoop.sock_connect

    async def noted(self, sock, address):
        connected.append(address)
        return await real(self, sock, address)

    monkeypatch.setattr(BaseSelectorEventLoop, "sock_connect", noted)
    return connected


async def test_only_the_addresses_that_are_allowed_are_called(receiver, monkeypatch):
    connected = watch(monkeypatch)
    await made(Names([[*INNER, "127.0.0.1"]])).post(target(receiver), "msg_1", BODY)
    assert connected == [("127.0.0.1", receiver.port)]


async def test_a_name_that_changes_its_address_is_checked_each_time(receiver, monkeypatch):
    connected = watch(monkeypatch)
    names = Names([["127.0.0.1"], ["169.254.169.254"], ["127.0.0.1"]])
    sender = made(names)
    await sender.post(target(receiver), "msg_1", BODY)
    with pytest.raises(NotReached):
        await sender.post(target(receiver), "msg_2", BODY)
    await sender.post(target(receiver), "msg_3", BODY)
    assert [message.id for message in receiver.messages] == ["msg_1", "msg_3"]
    assert {address for address, _ in connected} == {"127.0.0.1"}


async def test_an_address_in_place_of_a_name_is_checked_before_it_is_connected_to(receiver):
    # What reads URLs refuses it long before; this is the last door.
    for host in ("127.0.0.1", "[::1]"):
        sent = Target(f"http://{host}:{receiver.port}/", "http", host.strip("[]"), receiver.port)
        with pytest.raises(NotReached):
            await made(allow_networks=[]).post(sent, "msg_1", BODY)
    assert receiver.messages == []
    sent = Target(f"http://127.0.0.1:{receiver.port}/", "http", "127.0.0.1", receiver.port)
    assert (await made().post(sent, "msg_1", BODY)).status == 204


async def test_the_systems_own_resolver_is_used():
    found = receivers._resolve("localhost", 80)
    assert set(found) <= {"127.0.0.1", "::1"}
    assert found
    with pytest.raises(socket.gaierror):
        receivers._resolve("nobody.invalid", 80)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(receiver, status):
    def elsewhere(request):
        request.send_response(status)
        request.send_header("Location", f"http://127.0.0.1:{receiver.port}/inside")
        request.send_header("Content-Length", "0")
        request.end_headers()

    receiver.answers.append(elsewhere)
    assert (await made().post(target(receiver), "msg_1", BODY)).status == status
    assert [message.path for message in receiver.messages] == ["/x"]


async def test_no_proxy_of_the_environment_is_used(receiver, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert (await made().post(target(receiver), "msg_1", BODY)).status == 204


async def test_no_cookie_comes_back(receiver):
    def cookie(request):
        request.send_response(200)
        request.send_header("Set-Cookie", "a=b; Path=/")
        request.send_header("Content-Length", "0")
        request.end_headers()

    receiver.answers.append(cookie)
    sender = made()
    for _ in range(2):
        await sender.post(target(receiver), "msg_1", BODY)
    assert "cookie" not in receiver.messages[1].headers


@pytest.mark.parametrize(
    ("said", "understood"), [("120", 120.0), ("0", 0.0), ("-1", None), ("9" * 9, None), ("x", None)]
)
async def test_a_receiver_may_say_when_to_come_back(receiver, said, understood):
    def later(request):
        request.send_response(503)
        request.send_header("Retry-After", said)
        request.send_header("Content-Length", "0")
        request.end_headers()

    receiver.answers.append(later)
    reply = await made().post(target(receiver), "msg_1", BODY)
    assert (reply.status, reply.retry_after_s) == (503, understood)


async def test_of_an_endless_answer_only_the_beginning_is_read(receiver):
    gone = threading.Event()

    def endless(request):
        request.send_response(200)
        request.end_headers()
        try:
            while True:
                request.wfile.write(b"x" * 65536)
        except OSError:
            gone.set()

    receiver.answers.append(endless)
    assert (await made().post(target(receiver), "msg_1", BODY)).status == 200
    assert await asyncio.to_thread(gone.wait, 20)


async def test_a_compressed_answer_is_not_unpacked(receiver):
    def packed(request):
        request.send_response(200)
        request.send_header("Content-Encoding", "gzip")
        request.send_header("Content-Length", "4")
        request.end_headers()
        request.wfile.write(b"none")

    receiver.answers.append(packed)
    assert (await made().post(target(receiver), "msg_1", BODY)).status == 200


async def test_a_receiver_that_does_not_answer_is_left(receiver):
    left = threading.Event()

    def silent(request):
        left.wait(20)

    def dripping(request):
        request.send_response(200)
        try:
            while not left.is_set():
                request.wfile.write(b"X-More: x\r\n")
                request.wfile.flush()
                time.sleep(0.01)
        except OSError:
            return

    receiver.answers += [silent, dripping]
    for _ in range(2):
        with pytest.raises(NotReached, match=r"took too long|could not be reached"):
            await made(timeout_s=0.3).post(target(receiver), "msg_1", BODY)
    left.set()


async def test_a_name_server_that_does_not_answer_is_left():
    asked, answer = threading.Event(), threading.Event()

    def slow(host, port):
        asked.set()
        answer.wait(20)
        return ["127.0.0.1"]

    with pytest.raises(NotReached, match="took too long"):
        await made(slow, timeout_s=0.3).post(Target("http://a.b:1/", "http", "a.b", 1), "m", BODY)
    assert asked.is_set()
    answer.set()


async def test_what_is_no_http_is_no_answer():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def nonsense():
            for answer in (b"SSH-2.0-OpenSSH_9.9\r\n", b"", b"HTTP/1.1 9999 x\r\n\r\n"):
                connection, _ = server.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(answer)

        thread = threading.Thread(target=nonsense)
        thread.start()
        port = server.getsockname()[1]
        for _ in range(3):
            with pytest.raises(NotReached, match="could not be reached"):
                await made().post(Target(f"http://{HOST}:{port}/", "http", HOST, port), "m", BODY)
        thread.join()


async def test_nobody_there():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(NotReached, match="could not be reached"):
        await made().post(Target(f"http://{HOST}:{port}/", "http", HOST, port), "msg_1", BODY)


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_authorities_that_cannot_be_used_are_named(tmp_path, content):
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ValueError, match=r"^webhooks\.ca_file: .*ca\.pem: \S"):
        made(ca_file=str(file))
