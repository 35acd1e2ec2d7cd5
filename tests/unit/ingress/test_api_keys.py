"""API keys: read from the environment, kept as digests, and never shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.ingress.http.api_keys import KEYS_VARIABLE, KeyRing
from tests.unit.ingress.memory import surface

KEY = "s3cret-9f1c"


@pytest.mark.parametrize("text", [None, "", "  ", "\n"])
def test_no_keys_let_everybody_in(monkeypatch, text):
    monkeypatch.delenv(KEYS_VARIABLE, raising=False)
    if text is not None:
        monkeypatch.setenv(KEYS_VARIABLE, text)
    assert KeyRing.from_environment() is None


def test_several_keys_are_valid_at_once(monkeypatch):
    monkeypatch.setenv(KEYS_VARIABLE, f" shop : {KEY} ,\n old:with:colon,é:~!@#$ ")
    keys = KeyRing.from_environment()
    assert keys.find(KEY).name == "shop"
    assert keys.find("with:colon").name == "old"
    assert keys.find("~!@#$").name == "é"
    for wrong in ("", KEY[:-1], KEY + " ", KEY.upper(), "shop", f"shop:{KEY}"):
        assert keys.find(wrong) is None


@pytest.mark.parametrize(
    ("text", "position"),
    [
        (KEY, 1),
        (f":{KEY}", 1),
        ("shop:", 1),
        ("shop: ", 1),
        (",", 1),
        (f"shop:{KEY},", 2),
        (f"shop:{KEY},{KEY}", 2),
        (f"a:b,shop:{KEY},:x", 3),
    ],
)
def test_a_bad_pair_is_named_without_its_secret(monkeypatch, text, position):
    monkeypatch.setenv(KEYS_VARIABLE, text)
    with pytest.raises(ValueError, match=f"{KEYS_VARIABLE}.*pair {position} is not one") as caught:
        KeyRing.from_environment()
    assert KEY not in str(caught.value)


def test_a_name_given_twice_is_refused(monkeypatch):
    monkeypatch.setenv(KEYS_VARIABLE, f"shop:{KEY},shop:other")
    with pytest.raises(ValueError, match="pair 2") as caught:
        KeyRing.from_environment()
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("secret", ["ünïcode", "tab\tbed", "\udcff", "bell\x07"])
def test_a_secret_that_no_header_can_carry_is_refused(monkeypatch, secret):
    monkeypatch.setenv(KEYS_VARIABLE, f"a:b,shop:{secret}")
    with pytest.raises(ValueError, match=r"printable ASCII.*pair 2") as caught:
        KeyRing.from_environment()
    assert secret not in str(caught.value)


def test_the_ring_shows_no_secret():
    keys = KeyRing({"shop": KEY})
    assert KEY not in f"{keys!r} {keys} {vars(keys)}"


@given(st.text(st.characters(codec="latin-1")))
def test_whatever_a_header_holds_may_be_asked_for(text):
    assert (KeyRing({"shop": KEY}).find(text) is not None) is (text == KEY)


@pytest.mark.parametrize("header", ["X-API-Key", "Authorization"])
@pytest.mark.parametrize(
    "value",
    [b"\xff\xfe", "ünïcode".encode(), "ünïcode".encode("latin-1"), b"\x80" * 5000, b"\x7f", b"%00"],
)
async def test_headers_of_any_bytes_are_only_wrong(tmp_path, header, value):
    made = surface(tmp_path, keys=KeyRing({"shop": KEY}))
    if header == "Authorization":
        value = b"Bearer " + value
    async with made.client as client:
        answer = await client.get("/api/models", headers=[(header.encode(), value)])
    assert answer.status_code == 401
    assert answer.json()["error"] == "the API key is wrong"


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer ", f"Basic {KEY}", KEY])
async def test_other_authorizations_are_no_key(tmp_path, value):
    made = surface(tmp_path, keys=KeyRing({"shop": KEY}))
    async with made.client as client:
        answer = await client.get("/api/models", headers={"Authorization": value})
    assert answer.status_code == 401
    assert "is required" in answer.json()["error"]
    assert KEY not in answer.text
