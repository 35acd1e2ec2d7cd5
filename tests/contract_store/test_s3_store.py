"""What only an S3 endpoint can do to the store: refuse and vanish."""

import io
import pickle
import ssl
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from storage.deployment import Storage
from storage.errors import (
    CorruptObject,
    ObjectNotFound,
    StorageMisconfigured,
    StorageUnavailable,
)
from storage.minio_store import MinioStore
from storage.settings import (
    ACCESS_KEY_VARIABLE,
    SECRET_KEY_VARIABLE,
    Credentials,
)
from tests.contract_store.quick_store import CREDENTIALS, NAME, PNG, WRONG, open_quick, settings
from tests.s3_server import MISSING_BUCKET, SCOPED_BUCKET, S3Server


def test_a_wrong_secret_is_one_clear_sentence(s3_server: S3Server) -> None:
    wrong = Credentials(s3_server.admin.access_key, WRONG)
    with pytest.raises(StorageMisconfigured) as caught:
        MinioStore(settings(s3_server.endpoint), wrong).check()
    assert SECRET_KEY_VARIABLE in str(caught.value)
    assert WRONG not in str(caught.value)
    assert "SignatureDoesNotMatch" in str(caught.value)
    assert s3_server.admin.access_key not in str(caught.value)
    assert caught.value.__cause__ is None
    with pytest.raises(StorageMisconfigured, match="InvalidAccessKeyId"):
        MinioStore(settings(s3_server.endpoint), CREDENTIALS).check()


def test_a_missing_bucket_is_created_only_when_allowed(s3_server: S3Server) -> None:
    bucket = f"b{uuid4()}"
    store = MinioStore(
        settings(s3_server.endpoint, bucket=bucket, create_bucket=False), s3_server.admin
    )
    for operation in (store.check, lambda: store.get(NAME), lambda: list(store.list(""))):
        with pytest.raises(StorageMisconfigured, match=f"bucket: {bucket} does not exist"):
            operation()
    assert not s3_server.client().bucket_exists(bucket)
    MinioStore(settings(s3_server.endpoint, bucket=bucket), s3_server.admin).check()
    store.check()


def test_replicas_that_start_together_may_all_create_the_bucket(s3_server: S3Server) -> None:
    wanted = settings(s3_server.endpoint, bucket=f"b{uuid4()}")
    stores = [MinioStore(wanted, s3_server.admin) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        for check in [threads.submit(store.check) for store in stores]:
            check.result()
    assert list(stores[0].list("")) == []


@pytest.mark.parametrize("create_bucket", [True, False])
def test_credentials_of_one_bucket_suffice(s3_server: S3Server, create_bucket: bool) -> None:
    wanted = settings(s3_server.endpoint, bucket=SCOPED_BUCKET, create_bucket=create_bucket)
    store = MinioStore(wanted, s3_server.scoped)
    store.check()
    store.put(NAME, PNG, "image/png")
    assert store.get(NAME).data == PNG
    assert [info.name for info in store.list("generated/")] == [NAME]
    store.delete(NAME)
    with pytest.raises(ObjectNotFound):
        store.get(NAME)


def test_credentials_of_another_bucket_are_refused(s3_server: S3Server) -> None:
    missing = settings(s3_server.endpoint, bucket=MISSING_BUCKET)
    with pytest.raises(StorageMisconfigured, match=r"does not exist .* may not create it"):
        MinioStore(missing, s3_server.scoped).check()
    bucket = f"b{uuid4()}"
    s3_server.client().make_bucket(bucket)
    foreign = settings(s3_server.endpoint, bucket=bucket)
    with pytest.raises(StorageMisconfigured, match="may not get, put, delete and list"):
        MinioStore(foreign, s3_server.scoped).check()


def test_a_dead_server_is_unavailable_and_loses_nothing(s3_server: S3Server) -> None:
    wanted = settings(s3_server.endpoint, prefix=f"{uuid4()}/")
    store = MinioStore(wanted, s3_server.admin)
    store.check()
    acknowledged = [f"generated/{number:032x}.png" for number in range(20)]
    for name in acknowledged:
        store.put(name, name.encode(), "image/png")
    s3_server.stop()
    try:
        for operation in (
            lambda: store.put(NAME, PNG, "image/png"),
            lambda: store.get(NAME),
            lambda: store.delete(NAME),
            lambda: list(store.list("")),
            store.check,
        ):
            with pytest.raises(StorageUnavailable, match="accepts no connections"):
                operation()
    finally:
        s3_server.start()
    assert [info.name for info in store.list("")] == acknowledged
    assert [store.get(name).data.decode() for name in acknowledged] == acknowledged
    store.put(NAME, PNG, "image/png")
    assert store.get(NAME).data == PNG


async def test_a_replica_stays_healthy_while_the_server_is_down(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ACCESS_KEY_VARIABLE, s3_server.admin.access_key)
    monkeypatch.setenv(SECRET_KEY_VARIABLE, s3_server.admin.secret_key)
    wanted = settings(s3_server.endpoint, prefix=f"{uuid4()}/")
    storage = Storage(wanted, retention_s=3600.0)
    try:
        await storage.save(f"{1:032x}", PNG, {"seed": 1})
        s3_server.stop()
        try:
            await storage.check_health()
            with pytest.raises(StorageUnavailable):
                await storage.load_image(f"{1:032x}", "png")
            await storage.check_health()
            with pytest.raises(StorageUnavailable):
                Storage(wanted, retention_s=None)
        finally:
            s3_server.start()
        assert (await storage.load_image(f"{1:032x}", "png")).data == PNG
    finally:
        storage.close()


def test_listings_go_over_several_pages_and_leave_out_what_is_foreign(
    s3_server: S3Server,
) -> None:
    store = MinioStore(settings(s3_server.endpoint, prefix=f"{uuid4()}/"), s3_server.admin)
    store.check()
    names = [f"generated/{number:032x}.png" for number in range(1100)]
    with ThreadPoolExecutor(8) as threads:
        for put in [threads.submit(store.put, name, b"", "image/png") for name in names]:
            put.result()
    client = s3_server.client()
    client.put_object("backdrop", "generated/readme.txt", io.BytesIO(b"x"), 1)
    client.put_object("backdrop", f"{store._prefix}generated/readme.txt", io.BytesIO(b"x"), 1)
    assert [info.name for info in store.list("generated/")] == names


def test_a_stored_content_type_is_not_believed(s3_server: S3Server) -> None:
    store = MinioStore(settings(s3_server.endpoint, prefix=f"{uuid4()}/"), s3_server.admin)
    store.check()
    s3_server.client().put_object(
        "backdrop", store._prefix + NAME, io.BytesIO(b"<script>"), 8, content_type="text/html"
    )
    assert store.get(NAME).content_type == "image/png"


def _write_certificate(certificate: Path, private_key: Path) -> None:
    """Write a self-signed certificate for 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    private_key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def test_tls_needs_a_trusted_certificate(tmp_path: Path) -> None:
    certificate, private_key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    _write_certificate(certificate, private_key)
    with S3Server(tmp_path / "s3", (certificate, private_key)) as server:
        wanted = settings(server.endpoint, secure=True, ca_file=str(certificate))
        store = MinioStore(wanted, server.admin)
        store.check()
        store.put(NAME, PNG, "image/png")
        assert store.get(NAME).data == PNG
        with pytest.raises(StorageMisconfigured, match=r"^ca_file: .* not trusted"):
            MinioStore(settings(server.endpoint, secure=True), server.admin).check()
        with pytest.raises(StorageMisconfigured, match="check endpoint and secure"):
            MinioStore(settings(server.endpoint), server.admin).check()


def test_tls_to_a_plain_server_is_named(s3_server: S3Server) -> None:
    with pytest.raises(StorageMisconfigured, match=r"^secure: .* does not speak TLS"):
        MinioStore(settings(s3_server.endpoint, secure=True), s3_server.admin).check()


def test_an_unreadable_ca_file_is_named_without_its_path(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    for path in (tmp_path / "ca.pem", tmp_path / "missing.pem"):
        with pytest.raises(StorageMisconfigured, match="ca_file") as caught:
            open_quick("127.0.0.1:1", ca_file=str(path))
        assert str(tmp_path) not in str(caught.value)


def test_the_store_and_its_credentials_show_and_pickle_no_secret() -> None:
    store = open_quick("127.0.0.1:1")
    assert WRONG not in repr(store)
    assert WRONG not in repr(CREDENTIALS) + str(CREDENTIALS)
    with pytest.raises((TypeError, AttributeError)):
        pickle.dumps(store)


def test_the_system_s_authorities_are_trusted_by_default() -> None:
    context = MinioStore(settings("127.0.0.1:1", secure=True), CREDENTIALS)._client._http
    trust = context.connection_pool_kw["ssl_context"]
    assert trust.verify_mode is ssl.CERT_REQUIRED
    assert trust.check_hostname


def test_content_that_is_not_what_was_written_is_damage(s3_server: S3Server) -> None:
    store = MinioStore(settings(s3_server.endpoint, bucket=SCOPED_BUCKET), s3_server.admin)
    name = f"generated/{77:032x}.png"
    store.put(name, b"pixels", "image/png")
    client = s3_server.client()
    kept = client.stat_object(SCOPED_BUCKET, name).metadata["x-amz-meta-sha256"]
    client.put_object(SCOPED_BUCKET, name, io.BytesIO(b"pixelz"), 6, metadata={"sha256": kept})
    with pytest.raises(CorruptObject, match="its checksum does not match"):
        store.get(name)
    client.put_object(SCOPED_BUCKET, name, io.BytesIO(b"pixelz"), 6)
    assert not store.get(name).verified
    store.delete(name)
