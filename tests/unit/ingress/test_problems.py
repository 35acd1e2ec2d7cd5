"""Every way a request can be wrong, in memory: status, code and a sentence that names it."""

import asyncio

import pytest

from deployments.errors import ReplicaLost, Unavailable
from deployments.ingress.http.api_keys import KeyRing
from deployments.settings import IngressSettings, UploadLimits
from tests.unit.ingress.memory import png, surface


def problem(answer, status: int, code: str) -> str:
    body = answer.json()
    assert answer.status_code == status, body
    assert set(body) == {"error", "code", "request_id"}
    assert body["code"] == code
    assert body["request_id"] == answer.headers["x-request-id"]
    assert answer.headers["content-type"] == "application/json"
    return body["error"]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"num_images": 0}, "num_images must be greater than or equal to 1"),
        ({"num_images": 9}, "num_images must be less than or equal to 8"),
        ({"num_images": "many"}, "num_images must be a valid integer"),
        ({"num_images": 1.5}, "num_images must be a valid integer"),
        ({"seed": -1}, "seed must be greater than or equal to 0"),
        ({"seed": 2**32}, "seed must be less than 4294967296"),
        ({"steps": 0}, "steps must be greater than or equal to 1"),
        ({"steps": 51}, "steps must be less than or equal to 50"),
        ({"steps": 31, "model": "controlnet"}, "takes at most 30, not 31"),
        ({"guidance_scale": 31}, "guidance_scale must be less than or equal to 30"),
        ({"guidance_scale": "nan"}, "guidance_scale must be less than"),
        ({"strength": 0}, "strength must be greater than 0"),
        ({"strength": 1.01}, "strength must be less than or equal to 1"),
        ({"steps": 4, "strength": 0.1}, "strength: 0.1 of 4 steps leaves none"),
        ({"prompt": ""}, "prompt is required"),
        ({"prompt": "  "}, "prompt must not be blank"),
        ({"prompt": "x" * 2001}, "prompt must have at most 2000 characters"),
        ({"colour": "red"}, "unknown field: colour"),
        ({"a": 1, "b": 2}, "unknown field: a, b"),
    ],
)
async def test_a_wrong_field_is_named(api, fields, sentence):
    assert sentence in problem(await api.generate(**fields), 400, "invalid_request")
    assert api.models.jobs == []


async def test_an_unknown_model_lists_the_known(api):
    error = problem(await api.generate(model="dall-e"), 400, "unknown_model")
    assert error == "model 'dall-e' is not known; known models: stable-diffusion, controlnet"


async def test_missing_fields_are_all_named(api):
    answer = await api.client.post("/api/generate", files={"other": ("a.png", b"x")})
    error = problem(answer, 400, "invalid_request")
    for field in ("prompt", "model", "image"):
        assert f"{field} is required" in error
    assert "unknown field: other" in error


async def test_a_field_given_twice_is_refused(api):
    answer = await api.client.post(
        "/api/generate",
        data={"prompt": ["a", "b"], "model": "controlnet"},
        files={"image": ("a.png", png())},
    )
    assert problem(answer, 400, "invalid_request") == "field given more than once: prompt"


async def test_image_must_be_a_file(api):
    data = {"prompt": "p", "model": "controlnet", "image": "http://x/y.png"}
    answer = await api.client.post("/api/generate", data=data, files={"z": ("z", b"")})
    assert "image must be a file" in problem(answer, 400, "invalid_request")


@pytest.mark.parametrize("photo", [b"", b"GIF89a", b"<svg/>", png()[:60]])
async def test_what_is_not_an_image_is_refused(api, photo):
    problem(await api.generate(photo), 400, "invalid_image")


async def test_a_form_route_refuses_json(api):
    answer = await api.client.post("/api/generate", json={"prompt": "p"})
    assert "multipart/form-data" in problem(answer, 415, "unsupported_media_type")


async def test_a_json_route_refuses_a_form(api):
    answer = await api.client.post("/api/variation", data={"prompt": "p"})
    assert "application/json" in problem(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b'{"a":'])
async def test_broken_json_is_refused(api, content):
    answer = await api.client.post(
        "/api/variation", content=content, headers={"Content-Type": "application/json"}
    )
    problem(answer, 400, "invalid_request")


async def test_broken_multipart_is_refused(api):
    for content_type in ("multipart/form-data", "multipart/form-data; boundary=x"):
        answer = await api.client.post(
            "/api/generate", content=b"--y\r\nnonsense", headers={"Content-Type": content_type}
        )
        problem(answer, 400, "invalid_request")


@pytest.mark.parametrize("value", ["4", 4.5, True, [4]])
async def test_json_types_are_not_guessed(api, value):
    body = {"image_url": "/generated/x.png", "prompt": "p", "model": "m", "num_images": value}
    answer = await api.client.post("/api/variation", json=body)
    assert "num_images must be a valid integer" in problem(answer, 400, "invalid_request")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://evil.example/generated/{key}.png",
        "http://shop.test.evil.example/generated/{key}.png",
        "http://shop.test@evil.example/generated/{key}.png",
        "http://shop.test:99999/generated/{key}.png",
        "//shop.test/generated/{key}.png",
        "https://shop.test/generated/{key}.png",
        "http://shop.test/generated/{key}.png?x=1",
        "http://shop.test/generated/{key}.png#x",
        "http://shop.test/generated/{key}.png\n",
        "http://shop.test/generated/../sources/{key}.png",
        "http://shop.test/sources/{key}.png",
        "http://shop.test/generated/{KEY}.png",
        "http://localhost/generated/{key}.png",
        "/generated/%2e%2e/{key}.png",
        "file:///generated/{key}.png",
        "http://[::1/generated/{key}.png",
    ],
)
async def test_a_foreign_image_url_is_refused(api, url):
    made = (await api.generate(num_images=1)).json()["images"][0]
    key = made.rsplit("/", 1)[1].removesuffix(".png")
    given = url.replace("{key}", key).replace("{KEY}", key.upper() + "A")
    body = {"image_url": given, "prompt": "p", "model": "controlnet"}
    problem(await api.client.post("/api/variation", json=body), 400, "foreign_image_url")


async def test_a_missing_image_is_404(api):
    key = "0" * 32
    problem(await api.client.get(f"/generated/{key}.png"), 404, "not_found")
    body = {"image_url": f"/generated/{key}.png", "prompt": "p", "model": "controlnet"}
    problem(await api.client.post("/api/variation", json=body), 404, "not_found")


@pytest.mark.parametrize("path", ["/nothing", "/generated/", "/api", "/generated/x.png", "/a/../b"])
async def test_unknown_paths_are_404(api, path):
    problem(await api.client.get(path), 404, "not_found")


async def test_wrong_methods_are_405(api):
    answer = await api.client.get("/api/generate")
    problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"
    problem(await api.client.delete("/api/models"), 405, "method_not_allowed")
    answer = await api.client.put(f"/generated/{'0' * 32}.png")
    problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "DELETE, GET, HEAD"


async def test_a_large_body_is_413(tmp_path):
    made = surface(tmp_path, IngressSettings(limits=UploadLimits(max_body_bytes=2048)))

    async def pieces():
        yield b'--x\r\nContent-Disposition: form-data; name="prompt"\r\n\r\n'
        for _ in range(4):
            yield b" " * 1024

    async with made.client:
        whole = await made.client.post("/api/generate", content=b"x" * 4096)
        streamed = await made.client.post(
            "/api/generate",
            content=pieces(),
            headers={"Content-Type": "multipart/form-data; boundary=x"},
        )
        streamed_json = await made.client.post(
            "/api/variation", content=pieces(), headers={"Content-Type": "application/json"}
        )
    for answer in (whole, streamed, streamed_json):
        error = problem(answer, 413, "body_too_large")
        assert error == "the body is over the limit of 2048 bytes"


async def test_keys_are_required_where_they_are_on(tmp_path):
    made = surface(tmp_path, keys=KeyRing({"shop": "s3cret", "old": "0ld"}))
    async with made.client as client:
        for path in ("/api/models", "/api/generate", "/api/nothing"):
            answer = await client.get(path)
            assert "API key is required" in problem(answer, 401, "unauthorized")
            assert answer.headers["www-authenticate"] == "Bearer"
        wrong = await client.get("/api/models", headers={"X-API-Key": "s3cret "[:-2]})
        assert problem(wrong, 401, "unauthorized") == "the API key is wrong"
        for headers in (
            {"X-API-Key": "s3cret"},
            {"Authorization": "Bearer 0ld"},
            {"Authorization": "bearer s3cret"},
        ):
            assert (await client.get("/api/models", headers=headers)).status_code == 200
        assert (await client.get("/openapi.json")).status_code == 200


async def test_no_room_is_429_with_a_measured_wait(tmp_path):
    settings = IngressSettings(max_images=2, max_waiting_images=2)
    made = surface(tmp_path, settings)
    async with made.client:
        assert (await made.generate(num_images=2)).status_code == 200  # measures 0.5 s an image
        made.models.gate.clear()
        first = asyncio.create_task(made.generate(num_images=2))
        while len(made.models.jobs) < 4:
            await asyncio.sleep(0.01)
        refused = await made.generate(num_images=1)
        error = problem(refused, 429, "overloaded")
        assert "takes at most 2" in error
        assert refused.headers["retry-after"] == "1"
        made.models.gate.set()
        assert (await first).status_code == 200
        assert (await made.generate(num_images=2)).status_code == 200


async def test_a_passed_deadline_is_504_and_stores_nothing(tmp_path):
    made = surface(tmp_path, IngressSettings(deadline_s=1))
    made.models.gate.clear()
    async with made.client:
        error = problem(await made.generate(), 504, "deadline_exceeded")
    assert "within 1 s" in error
    assert len(made.models.cancelled) == 4
    assert not list((tmp_path / "generated").rglob("*.*"))


async def test_a_failed_image_fails_the_request_and_leaves_nothing(api, tmp_path):
    api.models.failures.append(Unavailable("model 'x' is not available", 2.2))
    answer = await api.generate(num_images=3)
    assert problem(answer, 503, "unavailable") == "model 'x' is not available"
    assert answer.headers["retry-after"] == "3"
    assert not list((tmp_path / "generated").rglob("*.png"))


async def test_a_replica_lost_for_good_is_503(api):
    api.models.failures.append(ReplicaLost("gone again"))
    problem(await api.generate(num_images=1), 503, "unavailable")


async def test_our_own_fault_is_500_without_detail(api):
    api.models.failures.append(RuntimeError("secret /root/path 10.0.0.1"))
    answer = await api.generate(num_images=1)
    assert problem(answer, 500, "internal_error") == "something went wrong on our side"


async def test_request_ids_are_kept_only_in_a_safe_form(api):
    kept = await api.client.get("/api/models", headers={"X-Request-Id": "shop-1.2_3"})
    assert kept.headers["x-request-id"] == "shop-1.2_3"
    for unsafe in ("a b", "x" * 65, "<script>", ""):
        made = await api.client.get("/api/models", headers={"X-Request-Id": unsafe})
        assert made.headers["x-request-id"] not in ("", unsafe)


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("http://localhost:3000", True),
        ("http://127.0.0.1:5173", True),
        ("https://evil.example", False),
        ("http://localhost.evil.example", False),
        ("http://localhost:3000.evil.example", False),
    ],
)
async def test_only_localhost_pages_may_call_by_default(api, origin, allowed):
    plain = await api.client.get("/api/models", headers={"Origin": origin})
    asked = await api.client.options(
        "/api/generate",
        headers={"Origin": origin, "Access-Control-Request-Method": "POST"},
    )
    failed = await api.client.get("/nothing", headers={"Origin": origin})
    for answer in (plain, asked, failed):
        assert answer.headers.get("access-control-allow-origin") == (origin if allowed else None)


async def test_configured_origins_may_call(tmp_path):
    settings = IngressSettings(cors={"origins": ["https://shop.example"], "localhost": False})
    made = surface(tmp_path, settings)
    async with made.client as client:
        for origin, allowed in (("https://shop.example", True), ("http://localhost:1", False)):
            answer = await client.get("/api/models", headers={"Origin": origin})
            assert ("access-control-allow-origin" in answer.headers) is allowed


@pytest.mark.parametrize("path", ["/api/models", "/docs", "/"])
async def test_head_is_get_without_a_body(api, path):
    whole, head = await api.client.get(path), await api.client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == whole.headers["content-type"]


async def test_a_name_twice_in_json_is_refused(api):
    for path in ("/api/variation", "/api/cutout"):
        answer = await api.client.post(
            path,
            content=b'{"image_url": "/generated/x.png", "image_url": "/generated/y.png"}',
            headers={"Content-Type": "application/json"},
        )
        error = problem(answer, 400, "invalid_request")
        assert error == "field given more than once: image_url"


async def test_null_is_a_field_left_open(api):
    url = (await api.generate(num_images=1)).json()["images"][0]
    nothing = dict.fromkeys(["num_images", "seed", "steps", "negative_prompt", "size", "padding"])
    answer = await api.vary(url, **nothing)
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["images"]) == 4
    answer = await api.client.post("/api/variation", json={"image_url": None, "prompt": None})
    error = problem(answer, 400, "invalid_request")
    assert "image_url is required" in error
    assert "prompt is required" in error


@pytest.mark.parametrize("prompt", ["a (forest:1.3)", "beach <lora:detail:0.8>", "(a cup: -.5)"])
async def test_syntax_of_other_programs_is_warned_of(api, prompt):
    told = (await api.generate(prompt=prompt, num_images=1)).json()["warnings"]
    assert any("is read as letters" in warning for warning in told)


@pytest.mark.parametrize("prompt", ["a cup (blue)", "ratio 4:5 (of a kind)", "a <b> tag"])
async def test_plain_brackets_are_no_syntax(api, prompt):
    told = (await api.generate(prompt=prompt, num_images=1)).json()["warnings"]
    assert not any("is read as letters" in warning for warning in told)


@pytest.mark.parametrize(("guidance", "told"), [(1, True), (0, True), (1.5, False)])
async def test_a_negative_prompt_without_guidance_is_told(api, guidance, told):
    answer = await api.generate(num_images=2, negative_prompt="people", guidance_scale=guidance)
    warned = [text for text in answer.json()["warnings"] if text.startswith("negative_prompt:")]
    assert len(warned) == told
    plain = await api.generate(num_images=1, guidance_scale=guidance)
    assert plain.json()["warnings"] == []
