"""API keys from a file: hashed at rest, several at once, and read again when the file changes."""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path

import pytest

from deployments.ingress.http.api_keys import FILE_VARIABLE, KEYS_VARIABLE, KeyRing, a_secret

KEY = "s3cret-9f1c"
OTHER = "other-77aa"


def digest(secret: str) -> str:
    return f"sha256:{hashlib.sha256(secret.encode()).hexdigest()}"


@pytest.fixture
def file(monkeypatch, tmp_path) -> Path:
    monkeypatch.delenv(KEYS_VARIABLE, raising=False)
    monkeypatch.setenv(FILE_VARIABLE, str(tmp_path / "keys"))
    return tmp_path / "keys"


def write(file: Path, text: str) -> None:
    """Replaced in one step, as Kubernetes and careful people do."""
    fresh = file.with_suffix(".new")
    fresh.write_text(text, encoding="utf-8")
    os.replace(fresh, file)


def test_secrets_and_digests_count_alike(file):
    write(file, f"# of shops\n\nshop: {KEY} \n  admin:{digest(OTHER)}\n# old:gone\n")
    keys = KeyRing.from_environment()
    assert keys.find(KEY).name == "shop"
    assert keys.find(OTHER).name == "admin"
    for wrong in (digest(OTHER), digest(OTHER).removeprefix("sha256:"), "gone", ""):
        assert keys.find(wrong) is None


def test_the_environment_may_hold_digests_too_and_adds_to_the_file(file, monkeypatch):
    monkeypatch.setenv(KEYS_VARIABLE, f"shop:{digest(KEY)}")
    write(file, f"admin:{OTHER}")
    keys = KeyRing.from_environment()
    assert (keys.find(KEY).name, keys.find(OTHER).name) == ("shop", "admin")


def test_neither_the_file_s_secret_nor_its_digest_is_kept_readable(file):
    write(file, f"shop:{KEY}")
    keys = KeyRing.from_environment()
    assert KEY not in f"{keys!r} {vars(keys)}"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "names no key"),
        ("# shop:secret\n", "names no key"),
        ("shop", "line 1 is not one"),
        (f"a:b\nshop:{KEY}\n:x", "line 3 is not one"),
        ("a:b\n#\na:c", "two keys alike; line 3"),
        ("a:b\nshop:sha256:12ab", "64 lower-case hexadecimal digits.*line 2"),
        (f"shop:sha256:{'A' * 64}", "64 lower-case hexadecimal digits.*line 1"),
        ("shop:ünïcode", "printable ASCII.*line 1"),
    ],
)
def test_a_wrong_file_is_refused_without_its_secrets(file, text, sentence):
    write(file, text)
    with pytest.raises(ValueError, match=rf"^{FILE_VARIABLE}.*{sentence}") as caught:
        KeyRing.from_environment()
    assert KEY not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(file):
    with pytest.raises(ValueError, match=rf"{FILE_VARIABLE}.*keys: No such file"):
        KeyRing.from_environment()
    file.write_bytes(b"shop:\xff\xfe")
    with pytest.raises(ValueError, match="not UTF-8"):
        KeyRing.from_environment()


def test_a_name_in_both_places_is_refused(file, monkeypatch):
    monkeypatch.setenv(KEYS_VARIABLE, f"shop:{KEY}")
    write(file, f"shop:{OTHER}")
    with pytest.raises(ValueError, match="name the same keys: shop"):
        KeyRing.from_environment()


def test_keys_come_and_go_while_the_service_runs(file, caplog):
    write(file, f"shop:{KEY}")
    keys = KeyRing.from_environment()
    with caplog.at_level(logging.INFO):
        write(file, f"admin:{OTHER}")
        assert keys.find(OTHER).name == "admin"
    assert keys.find(KEY) is None
    assert "read again: admin" in caplog.text
    assert OTHER not in caplog.text


@pytest.mark.parametrize("text", ["shop", None])
def test_a_change_for_the_worse_leaves_the_keys_as_they_were(file, caplog, text):
    write(file, f"shop:{KEY}")
    keys = KeyRing.from_environment()
    if text is None:
        file.unlink()
    else:
        write(file, text)
    with caplog.at_level(logging.INFO):
        assert keys.find(KEY).name == "shop"
        assert keys.find(KEY).name == "shop"
    assert caplog.text.count("stay as they were") == 1  # not at every request
    write(file, f"admin:{OTHER}")
    assert (keys.find(KEY), keys.find(OTHER).name) == (None, "admin")


def test_the_operator_s_own_calls_take_a_secret_that_is_told(file, monkeypatch):
    write(file, f"# a:b\nshop:{digest(KEY)}\nadmin:{OTHER}")
    assert a_secret() == OTHER
    write(file, f"shop:{digest(KEY)}")
    assert a_secret() is None
    monkeypatch.setenv(KEYS_VARIABLE, f"x:{digest(KEY)},y: plain ")
    assert a_secret() == "plain"
    monkeypatch.delenv(KEYS_VARIABLE)
    monkeypatch.delenv(FILE_VARIABLE)
    assert a_secret() is None
