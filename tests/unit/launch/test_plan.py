"""Which configuration is started, and what keeps it from starting here."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployments.ingress.core.callbacks.signing import SECRETS_VARIABLE
from deployments.ingress.http.api_keys import FILE_VARIABLE, KEYS_VARIABLE
from deployments.launch.errors import LaunchError
from deployments.launch.plan import (
    PACKAGED,
    check_port,
    find_config,
    make_plan,
    obstacles,
    who_may_call,
)

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch):
    monkeypatch.delenv(KEYS_VARIABLE, raising=False)
    monkeypatch.delenv(FILE_VARIABLE, raising=False)


def written(folder: Path, host: str | None = None, **application: Any) -> Path:
    document: dict[str, Any] = {
        "applications": [{"name": "a", "import_path": "deployments.app:build", **application}]
    }
    if host is not None:
        document["http_options"] = {"host": host}
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def with_model(folder: Path, **settings: Any) -> Path:
    return written(folder, args={"models": [{"id": "m", "name": "M", **settings}]})


def test_the_package_has_the_shipped_configuration():
    """One file: the package has a link to it, which becomes a copy when a wheel is built."""
    assert PACKAGED.samefile(ROOT / "serve_config.yaml")


def test_an_empty_folder_takes_the_packaged_configuration(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_config(None) == PACKAGED
    assert [model.id for model in make_plan(find_config(None)).first.args.models] == [
        "stable-diffusion",
        "controlnet",
    ]


def test_the_folder_s_own_configuration_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("serve_config.yaml").write_text("{}")
    assert find_config(None) == Path("serve_config.yaml")
    assert find_config(Path("other.yaml")) == Path("other.yaml")


def test_host_and_port_are_filled_in(tmp_path):
    plan = make_plan(written(tmp_path))
    assert (plan.host, plan.port, plan.root) == ("127.0.0.1", 8000, "http://127.0.0.1:8000")
    assert plan.document["http_options"] == {"host": "127.0.0.1"}
    moved = make_plan(written(tmp_path), port=8123)
    assert moved.root == "http://127.0.0.1:8123"
    assert moved.document["http_options"]["port"] == 8123


@pytest.mark.parametrize(
    ("host", "url"),
    [("0.0.0.0", "http://127.0.0.1:8000"), ("::", "http://[::1]:8000")],  # noqa: S104 - only named
)
def test_an_address_of_all_is_reached_on_this_machine(tmp_path, host, url):
    assert make_plan(written(tmp_path, host=host)).url == url


def test_a_route_prefix_is_part_of_every_address(tmp_path):
    assert make_plan(written(tmp_path, route_prefix="/shop")).root == "http://127.0.0.1:8000/shop"


@pytest.mark.parametrize("application", [{"import_path": "x:y"}, {"route_prefix": None}])
def test_without_an_application_that_can_be_called_nothing_is_started(tmp_path, application):
    with pytest.raises(LaunchError, match="no application with import_path"):
        make_plan(written(tmp_path, **application))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"weights": "./nowhere"}, "folder ./nowhere does not exist"),
        ({"weights": "my weights"}, "'my weights' is neither"),
        ({"weights": "owner/name"}, "owner/name on the Hub needs a revision"),
        ({"vae": "./nowhere"}, "folder ./nowhere does not exist"),
        ({"controlnet": "owner/control"}, "owner/control on the Hub needs a revision"),
        ({"loras": [{"weights": "demo"}]}, "'demo' is neither a folder that exists"),
    ],
)
def test_weights_that_cannot_be_are_told_with_their_place(tmp_path, settings, sentence):
    (told,) = obstacles(make_plan(with_model(tmp_path, **settings)))
    assert told.sentence.startswith("applications.0.args.models.0: ")
    assert sentence in told.sentence
    assert told.missing == ("does not exist" in sentence)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"weights": "owner/name", "revision": "main"},
        {"vae": "demo", "controlnet": "demo"},
        {"weights": "."},
    ],
)
def test_weights_that_can_be_are_no_obstacle(tmp_path, settings):
    assert list(obstacles(make_plan(with_model(tmp_path, **settings)))) == []


def test_without_keys_it_says_who_may_call(tmp_path):
    sentence = who_may_call(make_plan(written(tmp_path)))
    assert sentence == "no API keys are set: whoever is on this machine may call"
    everywhere = make_plan(written(tmp_path, host="0.0.0.0"))  # noqa: S104 - only named
    assert who_may_call(everywhere) == "no API keys are set: whoever reaches 0.0.0.0 may call"


def test_without_keys_no_other_address_is_served(tmp_path):
    (told,) = obstacles(make_plan(written(tmp_path, host="0.0.0.0")))  # noqa: S104 - only named
    assert "0.0.0.0 and no API keys are set" in told.sentence
    assert told.missing


def test_keys_of_the_environment_or_of_the_application_count(tmp_path, monkeypatch):
    own = {"env_vars": {KEYS_VARIABLE: "shop:s3cret"}}
    plan = make_plan(written(tmp_path, host="0.0.0.0", runtime_env=own))  # noqa: S104
    assert (list(obstacles(plan)), who_may_call(plan)) == ([], None)
    monkeypatch.setenv(KEYS_VARIABLE, "shop:s3cret")
    plan = make_plan(written(tmp_path, host="0.0.0.0"))  # noqa: S104
    assert (list(obstacles(plan)), who_may_call(plan)) == ([], None)


def test_keys_that_are_none_are_named_before_anything_starts(tmp_path, monkeypatch):
    monkeypatch.setenv(KEYS_VARIABLE, "shop")
    (told,) = obstacles(make_plan(written(tmp_path)))
    assert "pair 1 is not one" in told.sentence
    assert not told.missing


def test_keys_that_the_configuration_gives_are_read_too(tmp_path):
    own = {"env_vars": {KEYS_VARIABLE: "shop:s3cret,shop:other"}}
    (told,) = obstacles(make_plan(written(tmp_path, runtime_env=own)))
    assert "names two keys alike; pair 2 is one" in told.sentence
    assert not told.missing


def test_a_port_in_use_is_refused(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(LaunchError, match=f"port {port} on 127.0.0.1 cannot be used"):
            check_port(make_plan(written(tmp_path), port))
    check_port(make_plan(written(tmp_path), port))


def test_callbacks_need_a_secret_of_the_environment_or_of_the_application(tmp_path, monkeypatch):
    monkeypatch.delenv(SECRETS_VARIABLE, raising=False)
    args = {"ingress": {"webhooks": {"hosts": ["hooks.shop.example"]}}}
    (told,) = obstacles(make_plan(written(tmp_path, args=args)))
    assert told.sentence.startswith("applications.0.args.ingress: webhooks.hosts needs a secret")
    assert told.missing
    secret = {SECRETS_VARIABLE: f"whsec_{'A' * 40}"}
    plan = make_plan(written(tmp_path, args=args, runtime_env={"env_vars": secret}))
    assert list(obstacles(plan)) == []
    monkeypatch.setenv(SECRETS_VARIABLE, "s3cret")
    (told,) = obstacles(make_plan(written(tmp_path, args=args)))
    assert "secret 1 must be whsec_" in told.sentence
    assert "s3cret" not in told.sentence
    assert not told.missing
