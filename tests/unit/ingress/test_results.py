"""A stored result as an HTTP answer: conditional requests, and headers that are junk."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.datastructures import Headers

from deployments.encoded import StoredImage
from deployments.ingress.http.result_responses import LONGEST_CACHE_S, image_response

MODIFIED = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)
STORED = StoredImage(b"the png", "image/png", "abc123", MODIFIED)
ETAG = '"abc123"'


def status(**headers: str) -> int:
    given = Headers({name.replace("_", "-"): value for name, value in headers.items()})
    return image_response(STORED, given, None).status_code


def http_date(moment: datetime) -> str:
    return format_datetime(moment, usegmt=True)


def test_a_plain_request_gets_the_image():
    response = image_response(STORED, Headers(), None)
    assert response.status_code == 200
    assert response.body == b"the png"
    assert response.media_type == "image/png"
    assert response.headers["etag"] == ETAG
    assert response.headers["last-modified"] == "Fri, 02 Jan 2026 03:04:05 GMT"
    assert response.headers["content-length"] == "7"


@pytest.mark.parametrize("tags", [ETAG, f"W/{ETAG}", f'"x", {ETAG}', f'W/"x" ,  W/{ETAG}', "*"])
def test_a_known_etag_gets_304(tags):
    assert status(if_none_match=tags) == 304


@pytest.mark.parametrize("tags", ["", "abc123", '"x"', '"abc1234"', '"ABC123"', "'abc123'", "W/"])
def test_another_etag_gets_the_image(tags):
    assert status(if_none_match=tags) == 200


def test_not_modified_has_the_headers_a_cache_needs_and_no_body():
    given = Headers({"If-None-Match": ETAG})
    response = image_response(STORED, given, None)
    assert response.body == b""
    for name in ("etag", "last-modified", "cache-control"):
        assert response.headers[name] == image_response(STORED, Headers(), None).headers[name]
    assert "content-type" not in response.headers


def test_a_date_counts_to_the_second():
    second = MODIFIED.replace(microsecond=0)
    assert status(if_modified_since=http_date(second)) == 304
    assert status(if_modified_since=http_date(second + timedelta(seconds=1))) == 304
    assert status(if_modified_since=http_date(second - timedelta(seconds=1))) == 200


def test_the_etag_decides_alone_where_it_is_given():
    late = http_date(MODIFIED + timedelta(days=1))
    assert status(if_none_match='"x"', if_modified_since=late) == 200
    assert status(if_none_match="", if_modified_since=late) == 200
    early = http_date(MODIFIED - timedelta(days=1))
    assert status(if_none_match=ETAG, if_modified_since=early) == 304


@pytest.mark.parametrize(
    ("retention_s", "age_s", "longest"),
    [(None, 0, LONGEST_CACHE_S), (1e9, 0, LONGEST_CACHE_S), (3600, 600, 3000), (3600, 7200, 0)],
)
def test_a_cache_keeps_it_no_longer_than_we_do(retention_s, age_s, longest):
    stored = StoredImage(b"", "image/png", "e", datetime.now(UTC) - timedelta(seconds=age_s))
    control = image_response(stored, Headers(), retention_s).headers["cache-control"]
    seconds = int(control.partition("max-age=")[2].partition(",")[0])
    assert longest - 60 <= seconds <= longest


DATES = st.one_of(
    st.sampled_from(
        ["Fri, 02 Jan 2026 03:04:05 GMT", "Fri, 02 Jan 2026 03:04:05", "0", "-1", "GMT", ",",
         "Fri, 02 Jan 2026 03:04:05 +9999999999", "Fri, 99 Jan 2026 99:99:99 GMT",
         "Fri, 02 Jan 99999999999 03:04:05 GMT", "Fri, 02 Jan -1 03:04:05 GMT", "1 1 1 1 1 1",
         "Thursday, 01-Jan-70 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 -2400"]
    ),
    st.text(st.characters(codec="latin-1"), max_size=40),
    st.lists(
        st.sampled_from(["Fri", ",", " ", "02", "Jan", "2026", "3", ":", "GMT", "+", "-", "9999"]),
        max_size=14,
    ).map("".join),
)  # fmt: skip


@settings(max_examples=800, deadline=None)
@given(since=DATES)
def test_a_date_of_junk_never_fails(since):
    assert status(if_modified_since=since) in (200, 304)


@given(tags=st.text(st.characters(codec="latin-1"), max_size=60))
def test_an_etag_of_junk_never_fails(tags):
    assert status(if_none_match=tags) in (200, 304)
