import pickle
import string
import time
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deployments.ingress.core.keys import new_key
from storage.errors import CorruptObject, InvalidObjectName
from storage.names import OLDEST, made_by, sources_in
from storage.store import (
    ObjectInfo,
    StoredObject,
    check_listing,
    check_name,
    content_type_of,
    is_name,
    sealed,
    verified,
)

KEY = "0123456789abcdef" * 2
VALID = st.from_regex(
    r"[a-z]{1,32}/([0-9a-f]{32}){1,2}(-[1-9][0-9]{0,4})?\.(png|jpg|webp|json)", fullmatch=True
)
SPOILED = st.builds(
    lambda name, cut, text: name[:cut] + text + name[cut:],
    VALID,
    st.integers(0, 80),
    st.sampled_from(["/", "..", "../", "\\", "\x00", "\n", " ", "%2e", "A", "é", "٣", ".png"]),
)


def is_valid_by_hand(text: str) -> bool:
    folder, slash, file = text.partition("/")
    start, dot, suffix = file.partition(".")
    key, hyphen, width = start.partition("-")
    digits = set(width) <= set("0123456789") and not width.startswith("0")
    return (
        bool(slash and dot)
        and 1 <= len(folder) <= 32
        and set(folder) <= set(string.ascii_lowercase)
        and len(key) in (32, 64)
        and set(key) <= set("0123456789abcdef")
        and (digits and 1 <= len(width) <= 5 if hyphen else True)
        and suffix in ("png", "jpg", "webp", "json")
    )


@given(st.one_of(VALID, SPOILED, st.text()))
@example(f"generated/{KEY}.png\n")
@example(f"../{KEY}.png")
@example(f"generated/{KEY.upper()}.png")
@example(f"generated/sub/{KEY}.png")
@example(f"generated/{KEY}xpng")
@example(f"generated/{KEY}.jpeg")
@example(f"tiles/{KEY}-256.webp")
@example(f"tiles/{KEY}-0256.webp")
@example(f"tiles/{KEY}-.webp")
@example(f"tiles/{KEY}-٣.webp")
@example(f"references/{KEY}{KEY}.json")
@example(f"references/{KEY}{KEY}{KEY}.json")
@example(f"references/{KEY}{KEY[:-1]}.json")
@example(f"generated{KEY}.png")
@example("")
def test_only_folder_key_and_suffix_are_a_name(text: str) -> None:
    assert is_name(text) is is_valid_by_hand(text)
    if is_name(text):
        check_name(text)
    else:
        with pytest.raises(InvalidObjectName):
            check_name(text)


@given(st.one_of(VALID, SPOILED, st.text(alphabet="./ab\n")))
@example("generated/")
@example("generated")
@example("../")
@example("a/b/")
@example("/")
@example(f"references/{KEY}")
@example(f"references/{KEY[:-1]}")
@example(f"references/{KEY}{KEY}")
@example(f"references/{KEY}/")
@example(KEY)
def test_only_a_folder_or_a_key_in_one_is_a_prefix(text: str) -> None:
    folder, slash, key = text.partition("/")
    begun = len(key) in (0, 32) and is_valid_by_hand(f"{folder}/{key or KEY}.png")
    if text == "" or (slash and begun):
        check_listing(text, "")
    else:
        with pytest.raises(InvalidObjectName):
            check_listing(text, "")


@pytest.mark.parametrize("after", ["", "f", KEY, f"{KEY}~", KEY * 2, "~"])
def test_a_listing_begins_after_a_beginning_of_keys(after: str) -> None:
    check_listing("generated/", after)


@pytest.mark.parametrize(
    ("prefix", "after"),
    [("", "f"), ("generated/", "F"), ("generated/", "../"), ("generated/", "~~"),
     ("generated/", KEY * 3), ("generated/", f"{KEY}\n")],
)  # fmt: skip
def test_a_listing_begins_nowhere_else(prefix: str, after: str) -> None:
    with pytest.raises(InvalidObjectName):
        check_listing(prefix, after)


def test_the_oldest_keys_are_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = datetime(2026, 11, 29, 12, 0, 0, 250_000, tzinfo=UTC)
    keys = []
    for milliseconds in (-1, 0, 1):
        nanoseconds = int(moment.timestamp() * 1000 + milliseconds) * 1_000_000
        monkeypatch.setattr(time, "time_ns", lambda told=nanoseconds: told)
        keys.append(new_key())
    older, same, younger = keys
    # Those made then or before begin here.
    assert younger < made_by(moment) <= same < older < OLDEST


def test_what_a_recipe_was_made_from() -> None:
    other = KEY[::-1]
    assert sources_in({"photo_key": KEY, "mask_key": other}) == [KEY, other]
    assert sources_in({"photo_key": KEY, "mask_key": KEY}) == [KEY]
    assert sources_in({"photo_key": KEY, "mask_key": None}) == [KEY]
    assert sources_in({"photo_key": "../x", "mask_key": 7}) == []


def test_the_content_type_is_the_suffix_s() -> None:
    assert content_type_of(f"generated/{KEY}.png") == "image/png"
    assert content_type_of(f"generated/{KEY}.jpg") == "image/jpeg"
    assert content_type_of(f"tiles/{KEY}-128.webp") == "image/webp"
    assert content_type_of(f"generated/{KEY}.json") == "application/json"
    with pytest.raises(ValueError, match="holds image/png, not text/html"):
        sealed(f"generated/{KEY}.png", b"", "text/html")


def test_what_was_sealed_is_verified() -> None:
    name, empty = f"generated/{KEY}.png", "e3b0c44298fc1c149afbf4c8996fb924"
    checksum = sealed(name, b"", "image/png")
    assert checksum.startswith(empty)
    read = verified(name, b"", datetime.now(UTC), checksum)
    assert (read.etag, read.verified) == (empty, True)
    with pytest.raises(CorruptObject, match="is damaged"):
        verified(name, b"other", datetime.now(UTC), checksum)


def test_values_pickle_and_show_no_content() -> None:
    stored = StoredObject(b"content", "image/png", datetime.now(UTC), "0" * 32)
    info = ObjectInfo(f"generated/{KEY}.png", 7, datetime.now(UTC))
    for value in (stored, info):
        assert pickle.loads(pickle.dumps(value)) == value  # noqa: S301 - our own pickle
    assert "content'" not in repr(stored)
