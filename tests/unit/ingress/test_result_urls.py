"""Result URLs: made, read back, and nothing else read as one."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.composition import SUFFIXES
from deployments.errors import ForeignImage
from deployments.ingress.core.keys import is_key, new_key
from deployments.ingress.core.result_urls import ResultName, ResultUrls

KEY = "0123456789abcdef" * 2
PATH = f"/generated/{KEY}.png"
NAME = ResultName(KEY, "png")
OURS = ResultUrls(None)
CDN = ResultUrls("https://cdn.shop.example/img")
MOVED = ResultUrls(
    "https://cdn.shop.example/img", ["http://10.0.0.1:8000", "https://old.example/pictures"]
)


def test_keys_are_128_random_bits():
    keys = {new_key() for _ in range(200)}
    assert len(keys) == 200
    assert all(is_key(key) and len(bytes.fromhex(key)) == 16 for key in keys)


@pytest.mark.parametrize("text", ["", KEY[:-1], KEY + "0", KEY.upper(), KEY[:-1] + "g", KEY + "\n"])
def test_what_is_not_a_key(text):
    assert not is_key(text)


@pytest.mark.parametrize(
    ("urls", "base", "expected"),
    [
        (OURS, "http://shop.test", f"http://shop.test{PATH}"),
        (OURS, "https://shop.test:8443/api1", f"https://shop.test:8443/api1{PATH}"),
        (OURS, "http://[::1]:8000", f"http://[::1]:8000{PATH}"),
        (CDN, "http://10.0.0.1:8000", f"https://cdn.shop.example/img{PATH}"),
    ],
)
def test_a_url_is_made_and_read_back(urls, base, expected):
    assert urls.url(KEY, "png", base) == expected
    assert urls.name_of(expected, base) == NAME
    assert urls.name_of(PATH, base) == NAME


@pytest.mark.parametrize(
    ("urls", "base", "given"),
    [
        (OURS, "http://shop.test", "HTTP://Shop.TEST:80"),
        (OURS, "http://shop.test:80", "http://shop.test"),
        (OURS, "https://shop.test", "https://shop.test:443"),
        (OURS, "https://shop.test", "https://SHOP.test:"),
        (OURS, "http://[::1]:8000/p", "http://LOCALHOST:8000/p"),
        (CDN, "http://10.0.0.1:8000", "https://CDN.shop.example:443/img"),
        (MOVED, "http://10.0.0.1:8000", "https://cdn.shop.example/img"),
        (MOVED, "http://10.0.0.1:8000", "http://10.0.0.1:8000"),
        (MOVED, "http://shop.test", "https://Old.example/pictures"),
    ],
)
def test_equal_urls_are_one(urls, base, given):
    assert urls.name_of(f"{given}{PATH}", base) == NAME


@pytest.mark.parametrize(
    "given",
    [
        "https://shop.test",
        "http://shop.test:443",
        "http://shop.test:80/IMG",
        "http://shop.test:0",
        "http://shop.test.",
        "http://sh\top.test",
        "http://shop.test\n",
        "ftp://shop.test",
        "http:",
        "http://",
        "https://old.example",
        "https://old.example/Pictures",
        "http://old.example/pictures",
    ],
)
def test_other_urls_are_foreign(given):
    with pytest.raises(ForeignImage):
        ResultUrls(None, ["https://old.example/pictures"]).name_of(
            f"{given}{PATH}", "http://shop.test"
        )


def test_the_paths_case_counts():
    for path in (f"/Generated/{KEY}.png", f"/generated/{KEY.upper()}.png"):
        with pytest.raises(ForeignImage):
            OURS.name_of(f"http://shop.test{path}", "http://shop.test")


@pytest.mark.parametrize("own", ["localhost", "127.0.0.1", "[::1]"])
@pytest.mark.parametrize("given", ["localhost", "127.0.0.1", "[::1]", "LOCALHOST"])
@pytest.mark.parametrize("port", ["", ":8000"])
def test_loopback_has_several_names(own, given, port):
    assert OURS.name_of(f"http://{given}{port}{PATH}", f"http://{own}{port}") == NAME


@pytest.mark.parametrize(
    "url",
    [
        f"http://localhost:8001{PATH}",
        f"http://localhost{PATH}",
        f"https://localhost:8000{PATH}",
        f"http://127.0.0.2:8000{PATH}",
        f"http://localhost.evil.example:8000{PATH}",
        f"http://localhost:8000@evil.example{PATH}",
        f"http://evil.example@localhost:8000{PATH}",
        f"http://localhost:8000{PATH}?a=1",
        f"http://localhost:8000{PATH}#a",
        f"http://localhost:99999{PATH}",
        f"http://localhost:x{PATH}",
        f"http://localhost:8000/x{PATH}",
        f"//localhost:8000{PATH}",
        f"http://[::1{PATH}",
    ],
)
def test_another_loopback_server_is_foreign(url):
    with pytest.raises(ForeignImage):
        OURS.name_of(url, "http://127.0.0.1:8000")


def test_loopback_names_do_not_stand_for_a_public_server():
    for own, url in (
        ("http://shop.test", f"http://localhost{PATH}"),
        ("http://localhost", f"http://shop.test{PATH}"),
    ):
        with pytest.raises(ForeignImage):
            OURS.name_of(url, own)


@pytest.mark.parametrize(
    "url",
    [
        f"https://cdn.shop.example{PATH}",
        f"https://cdn.shop.example/img/{PATH}",
        f"https://cdn.shop.example/imgs{PATH}",
        f"https://cdn.shop.example/img/..{PATH}",
        f"http://cdn.shop.example/img{PATH}",
        f"http://localhost:8000{PATH}",
    ],
)
def test_with_a_public_base_only_it_is_ours(url):
    with pytest.raises(ForeignImage):
        CDN.name_of(url, "http://localhost:8000")


@pytest.mark.parametrize("prefix", ["/sd", "/a/b"])
def test_an_application_under_a_prefix(prefix):
    base = f"http://localhost:8000{prefix}"
    url = OURS.url(KEY, "png", base)
    assert url == f"http://localhost:8000{prefix}{PATH}"
    assert OURS.name_of(url, base) == NAME
    assert OURS.name_of(url.replace("localhost", "127.0.0.1"), base) == NAME
    for own in ("http://localhost:8000", "http://127.0.0.1:8000", f"http://[::1]:8000{prefix}x"):
        with pytest.raises(ForeignImage):
            OURS.name_of(url, own)
    # Another application on the same server, by another of its names.
    with pytest.raises(ForeignImage):
        OURS.name_of(f"http://127.0.0.1:8000{PATH}", base)


BASES = st.sampled_from(
    ["http://shop.test", "http://localhost:8000", "http://[::1]:8000/p", "https://cdn.example/img"]
)
PIECES = st.sampled_from(
    ["http://", "https://", "//", "/", "localhost", "127.0.0.1", "[::1]", ":8000", ":", "@", "..",
     "%2e", "/generated/", KEY, KEY.upper(), ".png", ".jpg", ".webp",
     ".jpeg", "?", "#", "\n", "\0", "\\", "[", "]", "é"]
)  # fmt: skip
JUNK = st.one_of(
    st.text(max_size=80),
    st.lists(PIECES, max_size=8).map("".join),
    st.tuples(BASES, st.lists(PIECES, max_size=4).map("".join)).map("".join),
)


@settings(max_examples=600, deadline=None)
@given(urls=st.sampled_from([OURS, CDN]), base=BASES, url=JUNK)
def test_junk_gives_a_key_or_is_foreign(urls, base, url):
    with suppress(ForeignImage):
        name = urls.name_of(url, base)
        assert is_key(name.key)
        assert f"/generated/{name.key}.{SUFFIXES[name.file_format]}" in url


@given(
    urls=st.sampled_from([OURS, CDN]),
    file_format=st.sampled_from(["png", "jpeg", "webp"]),
    base=BASES,
    number=st.integers(0, 2**128 - 1),
)
def test_every_key_comes_back(urls, file_format, base, number):
    key = f"{number:032x}"
    name = ResultName(key, file_format)
    assert urls.name_of(urls.url(key, file_format, base), base) == name
