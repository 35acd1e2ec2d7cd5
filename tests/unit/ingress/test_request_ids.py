"""Which request ids of callers come through, here and in Serve's proxy."""

from __future__ import annotations

import pytest
from ray.serve._private.http_util import (
    _apply_middlewares,
    call_function_from_import_path,
    validate_http_proxy_callback_return,
)
from starlette.datastructures import Headers

from deployments.ingress.http.middleware.request_ids import PROXY_MIDDLEWARES

UNSAFE = [
    b"",
    b" ",
    b"a b",
    b"x" * 65,
    b"<script>",
    b'"quoted"',
    b"a,b",
    b"../../etc/passwd",
    b"${jndi:ldap://x}",
    b"\xc3\xa9",
    b"a\x00",
    b"%0d%0aSet-Cookie: a=b",
]


@pytest.mark.parametrize("given", [b"a", b"0f8fad5b-d9cb-469f-a165-70867728950e", b"A._-" * 16])
async def test_a_safe_id_is_taken_over(api, given):
    answer = await api.client.get("/nothing", headers={b"X-Request-Id": given})
    assert answer.headers["x-request-id"] == given.decode() == answer.json()["request_id"]


@pytest.mark.parametrize("given", UNSAFE)
async def test_an_unsafe_one_is_replaced(api, given):
    answer = await api.client.get("/nothing", headers={b"X-Request-Id": given})
    assert answer.headers["x-request-id"] == answer.json()["request_id"]
    assert answer.json()["request_id"].encode() != given
    assert answer.json()["request_id"].isalnum()


async def test_two_ids_are_none(api):
    headers = [(b"X-Request-Id", b"one"), (b"X-Request-Id", b"two")]
    answer = await api.client.get("/nothing", headers=headers)
    assert answer.json()["request_id"] not in ("one", "two")


async def through_the_proxy(given: list[bytes]) -> tuple[list[str], list[str]]:
    """The ids that the application and the caller see behind the middlewares Serve's proxy runs."""
    seen: list[str] = []
    sent: list[str] = []

    async def application(scope, receive, send):
        seen.extend(Headers(scope=scope).getlist("x-request-id"))
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message):
        sent.extend(Headers(raw=message["headers"]).getlist("x-request-id"))

    ours = validate_http_proxy_callback_return(call_function_from_import_path(PROXY_MIDDLEWARES))
    headers = [(b"host", b"x"), *((b"x-request-id", value) for value in given)]
    await _apply_middlewares(application, ours)({"type": "http", "headers": headers}, None, send)
    return seen, sent


async def test_the_proxy_takes_over_a_safe_id():
    assert await through_the_proxy([b"ticket-17"]) == (["ticket-17"], ["ticket-17"])


@pytest.mark.parametrize("given", [[value] for value in UNSAFE] + [[b"one", b"two"], []])
async def test_the_proxy_makes_one_in_place_of_an_unsafe_id(given):
    seen, sent = await through_the_proxy(given)
    assert len(seen) == 1
    assert seen == sent
    assert seen[0].encode() not in given
