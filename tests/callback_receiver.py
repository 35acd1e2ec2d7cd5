"""A receiver of callbacks over real HTTP and TLS, on a port of the loopback."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from standardwebhooks import Webhook


@dataclass
class Message:
    """One request, as it arrived.

    Attributes:
        path: With its query.
        headers: In lower case.
        body: As it was sent.
        server_name: The name that TLS asked for; None without.
    """

    path: str
    headers: dict[str, str]
    body: bytes
    server_name: str | None = None

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Receiver:
    """Receives until the end of the block.

    Attributes:
        certificate: Makes it speak TLS: PEM files of a chain and of its key.
        secret: What every message must be signed with; another is answered 401.
        answers: What the next messages get, a status or what writes the answer; then 204.
        messages: Those that came.
        unsigned: How many were not signed with the secret.
        at: The port to listen on; 0 takes a free one.
    """

    certificate: tuple[Path, Path] | None = None
    secret: str | None = None
    answers: list[int | Answer] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    unsigned: int = 0
    at: int = 0

    def __enter__(self) -> Self:
        receiver, names = self, {}

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                name = names.get(self.client_address)
                receiver.messages.append(Message(self.path, headers, body, name))
                answer: int | Answer = receiver.answers.pop(0) if receiver.answers else 204
                if receiver.secret is not None:
                    try:
                        Webhook(receiver.secret).verify(body, headers)
                    except Exception:
                        receiver.unsigned += 1
                        answer = 401
                if not isinstance(answer, int):
                    answer(self)
                    return
                self.send_response(answer)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_GET(self) -> None:
                receiver.messages.append(Message(self.path, {}, b"GET"))
                self.send_error(405)

            def log_message(self, *args: object) -> None:
                """Nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def get_request(self):
                connection, address = self.socket.accept()
                names[address] = getattr(connection, "asked_for", None)
                return connection, address

            def handle_error(self, *args: object) -> None:
                """A caller that leaves is what some tests are about."""

        class Named(ssl.SSLSocket):
            asked_for: str | None = None

        self._server = Server(("127.0.0.1", self.at), Handler)
        if self.certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.sslsocket_class = Named
            context.sni_callback = lambda sock, name, _: setattr(sock, "asked_for", name)
            context.load_cert_chain(*map(str, self.certificate))
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        return self._server.server_address[1]


@dataclass(frozen=True)
class Authority:
    """An authority, and certificates of servers that it vouches for."""

    folder: Path
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    @property
    def file(self) -> Path:
        """Its own certificate."""
        file = self.folder / "authority.pem"
        if not file.exists():
            file.write_bytes(self._made("authority", self.key, None).public_bytes(Encoding.PEM))
        return file

    def certify(self, *names: str, ends_days: float = 30) -> tuple[Path, Path]:
        """PEM files of a certificate for host names and addresses, and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = self._made(names[0], key, names, ends_days)
        chain, private = (self.folder / f"{names[0]}-{part}.pem" for part in ("chain", "key"))
        chain.write_bytes(made.public_bytes(Encoding.PEM))
        private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return chain, private

    def _made(self, common, key, names, ends_days: float = 30) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(common))
            .issuer_name(_name("authority"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=60))
            .not_valid_after(now + timedelta(days=ends_days))
            .add_extension(x509.BasicConstraints(names is None, None), critical=True)
        )
        if names is not None:
            alternatives = [
                x509.IPAddress(ip_address(name)) if name[0].isdigit() else x509.DNSName(name)
                for name in names
            ]
            builder = builder.add_extension(
                x509.SubjectAlternativeName(alternatives), critical=False
            )
        return builder.sign(self.key, hashes.SHA256())


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
