"""The arguments of the application: defaults, bounds, and a name for everything that is wrong."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from deployments.settings import (
    RESERVED_NAMES,
    AppArgs,
    CorsSettings,
    IngressSettings,
    LoraSettings,
    ModelSettings,
    Settings,
    StorageSettings,
)
from storage.settings import MinioSettings
from tests.unit.settings_tables import BOUNDS, DEFAULTS, KINDS, MODEL


def made(kind: type[Settings], **values: Any) -> Settings:
    return kind.model_validate({**dict(KINDS)[kind], **values})


@pytest.mark.parametrize("kind", DEFAULTS, ids=lambda kind: kind.__name__)
def test_defaults(kind):
    settings = made(kind)
    assert {name: getattr(settings, name) for name in kind.model_fields} == DEFAULTS[kind]


def test_two_models_by_default():
    args = AppArgs()
    assert [(model.id, model.controlnet) for model in args.models] == [
        ("stable-diffusion", None),
        ("controlnet", "demo"),
    ]
    assert args == AppArgs.model_validate({})


@pytest.mark.parametrize(
    ("kind", "name", "taken", "refused"), BOUNDS, ids=lambda value: getattr(value, "__name__", None)
)
def test_bounds(kind, name, taken, refused):
    for value in taken:
        assert getattr(made(kind, **{name: value}), name) == value
    for value in refused:
        with pytest.raises(ValidationError) as caught:
            made(kind, **{name: value})
        assert name in str(caught.value), value


def test_every_number_and_choice_has_its_bounds_tested():
    tested = {(kind, name) for kind, name, _, _ in BOUNDS}
    free = {
        "id",
        "revision",
        "vae_revision",
        "controlnet",
        "controlnet_revision",
        "public_base_url",
        "earlier_base_urls",
    }
    switches = {
        "daily",
        "require_key",
        "allow_anonymous",
        "public_results",
        "playground",
        "public_metadata",
        "distilled",
    }
    for kind, _ in KINDS[:-1]:
        for name, field in kind.model_fields.items():
            nested = isinstance(field.default, BaseModel)
            if kind is CorsSettings or nested or name in free | switches:
                continue
            assert (kind, name) in tested, f"{kind.__name__}.{name}"


@pytest.mark.parametrize("kind", [kind for kind, _ in KINDS], ids=lambda kind: kind.__name__)
def test_a_misspelled_key_is_named(kind):
    for name in kind.model_fields:
        with pytest.raises(ValidationError) as caught:
            made(kind, **{f"{name}x": 1})
        (error,) = caught.value.errors()
        assert (error["type"], error["loc"]) == ("extra_forbidden", (f"{name}x",))


@pytest.mark.parametrize("kind", [kind for kind, _ in KINDS], ids=lambda kind: kind.__name__)
def test_settings_do_not_change_and_cross_processes(kind):
    settings = made(kind)
    with pytest.raises(ValidationError, match="frozen"):
        setattr(settings, next(iter(kind.model_fields)), 1)
    assert pickle.loads(pickle.dumps(settings)) == settings  # noqa: S301 - our own pickle
    assert kind.model_validate_json(settings.model_dump_json()) == settings


@pytest.mark.parametrize("name", ["a", "0", "sd-1.5", "a_b", "x" * 63])
def test_ids(name):
    assert made(ModelSettings, id=name).id == name


@pytest.mark.parametrize("name", ["", "-a", ".a", "A", "a b", "a/b", "a\n", "é", "x" * 64])
def test_what_is_not_an_id_is_refused(name):
    with pytest.raises(ValidationError, match="id"):
        made(ModelSettings, id=name)


def test_the_names_of_the_frame_are_reserved():
    assert {"ingress", "studio", "storage", "admission", "finder"} == RESERVED_NAMES
    for name in RESERVED_NAMES:
        with pytest.raises(ValidationError, match=f"'{name}' is the name of another deployment"):
            made(ModelSettings, id=name)


def test_ids_are_unique():
    twice = [{**MODEL, "id": name} for name in ("a", "b", "a", "c", "b")]
    with pytest.raises(ValidationError, match="given twice: a, b"):
        AppArgs.model_validate({"models": twice})


def test_there_is_a_model():
    with pytest.raises(ValidationError, match="models"):
        AppArgs.model_validate({"models": []})


def test_more_steps_than_the_most_are_refused():
    with pytest.raises(ValidationError, match="steps 20 of model 'm' is over its max_steps 19"):
        made(ModelSettings, max_steps=19)


FILM = {"weights": "/lora", "per_request": True, "name": "film"}


@pytest.mark.parametrize("name", ["a", "Film-2_x", "x" * 64])
def test_a_lora_that_requests_choose_has_a_name(name):
    settings = made(ModelSettings, loras=[{"weights": "/lora"}, {**FILM, "name": name}])
    assert [lora.weights for lora in settings.fused_loras] == ["/lora"]
    assert list(settings.request_loras) == [name]
    for scale in (-2, 2):
        assert made(LoraSettings, **{**FILM, "scale": scale}).scale == scale


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"name": None}, "with per_request needs a name"),
        ({"per_request": False}, "name 'film' is of a LoRA without per_request"),
        ({"scale": 2.1}, "scale 2.1 of the LoRA 'film' is not within -2 to 2"),
        ({"scale": -3}, "scale -3 of the LoRA 'film' is not within -2 to 2"),
        ({"name": "a b"}, "name"),
    ],
)
def test_what_is_wrong_with_such_a_lora_is_told(wrong, told):
    with pytest.raises(ValidationError, match=told):
        made(ModelSettings, loras=[{**FILM, **wrong}])


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"loras": [FILM, {**FILM, "weights": "/b"}]}, "loras of model 'm' .* 'film' twice"),
        ({"loras": [FILM], "backend": "openvino"}, "backend openvino of model 'm' runs no loras"),
        ({"loras": [FILM], "compile": True}, "compile of model 'm' compiles no loras"),
    ],
)
def test_what_does_not_go_with_such_loras_is_refused(changes, told):
    with pytest.raises(ValidationError, match=told):
        made(ModelSettings, **changes)
    fused = {"loras": [{"weights": "/lora"}]}
    assert made(ModelSettings, **{**changes, **fused}).request_loras == {}


@pytest.mark.parametrize("start", [0.5, 0.7])
def test_a_controlnet_that_ends_before_it_begins_is_refused(start):
    with pytest.raises(ValidationError, match=f"control_start {start} of model 'm' is not under"):
        made(ModelSettings, control_start=start, control_end=0.5)


def test_the_largest_request_must_find_room():
    with pytest.raises(ValidationError, match="max_waiting_images 7 is under max_images 8"):
        made(IngressSettings, max_waiting_images=7)


@pytest.mark.parametrize("key", ["id", "name"])
def test_a_model_needs_an_id_and_a_name(key):
    with pytest.raises(ValidationError) as caught:
        ModelSettings.model_validate({name: "x" for name in MODEL if name != key})
    assert caught.value.errors()[0]["loc"] == (key,)


@pytest.mark.parametrize("url", ["http://shop.example", "https://cdn.example:8443/img/v1"])
def test_public_base_urls(url):
    assert made(IngressSettings, public_base_url=url).public_base_url == url


@pytest.mark.parametrize(
    "url",
    ["", "shop.example", "ftp://shop.example", "https://", "https://shop.example/",
     "https://shop.example?a=1", "https://shop.example#a", "https://shop. example",
     "https://shop.example\n"],
)  # fmt: skip
def test_what_is_not_a_public_base_url_is_refused(url):
    with pytest.raises(ValidationError, match="public_base_url"):
        made(IngressSettings, public_base_url=url)
    with pytest.raises(ValidationError, match="earlier_base_urls"):
        made(IngressSettings, earlier_base_urls=["https://shop.example", url])


def test_the_store_is_chosen_by_its_kind():
    store = {"kind": "minio", "endpoint": "minio:9000"}
    assert made(StorageSettings, store=store).store == MinioSettings(endpoint="minio:9000")
    for wrong in ({"kind": "s3"}, {"path": "data"}, {"kind": "filesystem", "bucket": "b"}):
        with pytest.raises(ValidationError, match="store"):
            made(StorageSettings, store=wrong)


@pytest.mark.parametrize(
    "origin",
    ["https://shop.example", "http://localhost:3000", "https://[::1]:8443", "*", "http://a:443"],
)
def test_an_origin_is_as_browsers_write_it(origin):
    assert CorsSettings(origins=(origin,)).origins == (origin,)


@pytest.mark.parametrize(
    "origin",
    [
        "https://shop.example/",
        "shop.example",
        "https://Shop.example",
        "HTTPS://shop.example",
        "https://shop.example/path",
        "https://shop.example:443",
        "http://shop.example:80",
        "https://user@shop.example",
        "https://*.shop.example ",
        "",
    ],
)
def test_an_origin_that_never_matches_is_refused(origin):
    with pytest.raises(ValidationError, match="browsers"):
        CorsSettings(origins=(origin,))
