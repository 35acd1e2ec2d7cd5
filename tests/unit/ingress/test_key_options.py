"""What keys of the file may do, and until when."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deployments.ingress.http.api_keys import FILE_VARIABLE, KeyRing, a_secret
from deployments.ingress.http.key_options import SCOPES
from deployments.ingress.http.middleware.gate import scopes_for
from deployments.settings import IngressSettings, RateSettings
from tests.unit.ingress.memory import png, surface
from tests.unit.ingress.test_cutouts import cut

DIGEST = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"  # of "test"


def ring(folder: Path, *lines: str) -> KeyRing:
    file = folder / "keys"
    file.write_text("\n".join(lines))
    return KeyRing({}, file, max_images=8)


def headers(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def test_options_are_read(tmp_path):
    keys = ring(
        tmp_path,
        "# name:secret options",
        "all:secret-1",
        "maker : secret-2  scopes=generate,read   expires=2027-06-30",
        f"hashed:{DIGEST} scopes=delete",
        "exact:secret-4 expires=2027-06-30T12:00:00+02:00",
    )
    assert keys.find("secret-1").options.scopes == SCOPES
    assert keys.find("secret-1").options.expires is None
    maker = keys.find("secret-2")
    assert (maker.name, maker.options.scopes) == ("maker", {"generate", "read"})
    assert maker.options.expires == datetime(2027, 6, 30, tzinfo=UTC)
    assert keys.find("test").options.scopes == {"delete"}
    assert keys.find("secret-4").options.expires == datetime(2027, 6, 30, 10, tzinfo=UTC)


@pytest.mark.parametrize(("line", "told"), [
    ("shop:secret scopes=", "line 2: scopes must be some of generate, read, delete"),
    ("shop:secret scopes=generate,write", "line 2: scopes must be some of"),
    ("shop:secret scopes=generate, read", "line 2: after the key come scopes"),
    ("shop:secret expires=tomorrow", "line 2: expires must be a date or a time by ISO 8601"),
    ("shop:secret rate=7", "line 2: after the key come scopes"),
    ("shop:secret word", "line 2: after the key come scopes"),
    ("shop:secret images_per_minute=7", "line 2: images_per_minute 7 is under max_images 8"),
    ("shop:secret images_per_minute=", "line 2: images_per_minute must be a whole number from 1"),
    ("shop:secret images_per_minute=8.5", "line 2: images_per_minute must be a whole number"),
    ("shop:secret requests_per_minute=0", "line 2: requests_per_minute must be a whole number"),
    ("shop:secret requests_per_minute=1000001", "line 2: requests_per_minute must be .* 1000000"),
    ("shop:secret requests_per_minute=many", "line 2: requests_per_minute must be .* or none"),
    ("shop:secret scopes=read scopes=read", "line 2: scopes is given twice"),
])  # fmt: skip
def test_wrong_options_are_told_by_their_line(tmp_path, line, told):
    with pytest.raises(ValueError, match=told) as refused:
        ring(tmp_path, "other:key", line)
    assert FILE_VARIABLE in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_key_has_rates_of_its_own_in_place_of_the_service_s(tmp_path):
    keys = ring(
        tmp_path,
        "plain:secret-1",
        "small:secret-2 requests_per_minute=2",
        "free:secret-3 images_per_minute=none requests_per_minute=70",
    )
    service = RateSettings(requests_per_minute=60, images_per_minute=100)
    told = [keys.rates_of(name, service) for name in ("plain", "small", "free", "gone", "")]
    assert [(rates.requests_per_minute, rates.images_per_minute) for rates in told] == [
        (60, 100), (2, 100), (70, None), (60, 100), (60, 100),
    ]  # fmt: skip


async def test_what_a_key_may_ask_for_is_what_its_line_says_now(tmp_path, caplog):
    keys = ring(tmp_path, "shop:one requests_per_minute=1", "other:two")
    settings = IngressSettings(rates=RateSettings(requests_per_minute=2))
    api = surface(tmp_path / "data", settings, keys=keys)

    async def generate(secret: str):
        fields = {"prompt": "p", "model": "stable-diffusion", "num_images": "1"}
        files = {"image": ("photo.png", png(), "image/png")}
        return await api.client.post(
            "/api/generate", data=fields, files=files, headers=headers(secret)
        )

    def write(text: str) -> None:
        fresh = tmp_path / "fresh"
        fresh.write_text(text)
        os.replace(fresh, tmp_path / "keys")

    first = await generate("one")
    assert (first.status_code, first.headers["ratelimit-policy"]) == (200, '"requests";q=1;w=60')
    refused = await generate("one")
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert "requests_per_minute: the limit of key 'shop' is 1" in refused.json()["error"]
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert [(await generate("two")).status_code for _ in range(3)] == [200, 200, 429]
    for secret, most in (("one", 1), ("two", 2)):
        limits = (await api.client.get("/api/models", headers=headers(secret))).json()["limits"]
        assert limits["requests_per_minute"] == most

    write("shop:one requests_per_minute=2\nother:two requests_per_minute=none")
    assert [(await generate("one")).status_code for _ in range(2)] == [200, 429]
    free = await generate("two")
    assert (free.status_code, "ratelimit" in free.headers) == (200, False)
    write("shop:one requests_per_minute=none\nother:two images_per_minute=-1")
    assert (await generate("one")).status_code == 429
    assert (
        f"the API keys stay as they were: {FILE_VARIABLE}: line 2: images_per_minute must be"
    ) in caplog.text


async def test_a_cut_out_counts_for_its_key_alone(tmp_path):
    keys = ring(tmp_path, "shop:one requests_per_minute=1", "other:two")
    api = surface(tmp_path / "data", keys=keys)
    answers = [await cut(api, headers=headers(secret)) for secret in ("one", "one", "two", "two")]
    assert [answer.status_code for answer in answers] == [200, 429, 200, 200]


def test_wrong_options_leave_the_keys_as_they_were(tmp_path, caplog):
    keys = ring(tmp_path, "shop:secret")
    (tmp_path / "keys").write_text("shop:secret scopes=nothing")
    assert keys.find("secret").options.scopes == SCOPES
    assert "the API keys stay as they were" in caplog.text
    (tmp_path / "keys").write_text("shop:secret scopes=read")
    os.utime(tmp_path / "keys", (1, 1))
    assert keys.find("secret").options.scopes == {"read"}


def test_a_secret_is_told_without_its_options(tmp_path, monkeypatch):
    ring(tmp_path, "# maker:none", "maker:secret-2 scopes=generate")
    monkeypatch.delenv("BACKDROP_API_KEYS", raising=False)
    monkeypatch.setenv(FILE_VARIABLE, str(tmp_path / "keys"))
    assert a_secret() == "secret-2"


@pytest.mark.parametrize(("method", "path", "scopes"), [
    ("POST", "/api/generate", {"generate"}), ("POST", "/v1/images/edits", {"generate"}),
    ("POST", "/api/cutout", {"generate"}), ("DELETE", "/api/jobs/1", {"generate"}),
    ("DELETE", "/generated/1.png", {"delete"}), ("DELETE", "/cutouts/1.png", {"delete"}),
    ("GET", "/api/jobs", {"generate", "read"}), ("HEAD", "/api/jobs/1", {"generate", "read"}),
    ("GET", "/api/results", {"read"}), ("GET", "/generated/1.png", {"read"}),
    ("GET", "/generated/1.json", {"read"}), ("GET", "/cutouts/1.png", {"read"}),
    ("GET", "/api/models", set()), ("GET", "/v1/models", set()),
])  # fmt: skip
def test_what_a_request_needs(method, path, scopes):
    assert scopes_for(method, path) == scopes


async def test_a_key_does_what_its_scopes_say(tmp_path):
    keys = ring(
        tmp_path, "maker:make scopes=generate", "reader:read scopes=read", "bin:bin scopes=delete"
    )
    api = surface(tmp_path / "data", IngressSettings(public_results=False), keys=keys)

    async def generate(secret: str):
        fields = {"prompt": "Perfume backdrop", "model": "stable-diffusion", "num_images": "1"}
        files = {"image": ("photo.png", png(), "image/png")}
        return await api.client.post(
            "/api/generate", data=fields, files=files, headers=headers(secret)
        )

    for secret in ("read", "bin"):
        refused = await generate(secret)
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
        assert refused.json()["error"].endswith("it needs the scope generate")
    url = (await generate("make")).json()["images"][0]
    answers = {
        secret: [
            (await api.client.request(method, path, headers=headers(secret))).status_code
            for method, path in (
                ("GET", url), ("GET", "/api/results"), ("GET", "/api/jobs"), ("GET", "/api/models"),
                ("DELETE", url),
            )
        ]
        for secret in ("make", "read", "bin")
    }  # fmt: skip
    assert answers == {
        "make": [403, 403, 200, 200, 403],
        "read": [200, 200, 200, 200, 403],
        # Another key made it, so that it is not found.
        "bin": [403, 403, 403, 200, 404],
    }


async def test_a_key_ends_when_its_time_has_come(tmp_path):
    soon = datetime.now(UTC) + timedelta(hours=1)
    past = datetime.now(UTC) - timedelta(seconds=1)
    keys = ring(
        tmp_path,
        f"one:secret-1 expires={soon.isoformat()}",
        f"two:secret-2 expires={past.isoformat()}",
    )
    api = surface(tmp_path / "data", keys=keys)
    assert (await api.client.get("/api/models", headers=headers("secret-1"))).status_code == 200
    refused = await api.client.get("/api/models", headers=headers("secret-2"))
    assert (refused.status_code, refused.json()["code"]) == (401, "unauthorized")
    assert refused.json()["error"] == "the API key has expired"
