"""Settings of callbacks: hosts, networks and bounds, and what contradicts itself."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from deployments.webhook_settings import WebhookSettings

HOST = {"hosts": ["hooks.shop.example"]}


def test_defaults_allow_nobody():
    assert WebhookSettings().model_dump() == {
        "hosts": (),
        "allow_http": False,
        "allow_networks": (),
        "ca_file": None,
        "at_once": 16,
        "timeout_s": 15.0,
        "retry_s": 5.0,
        "give_up_s": 86_400.0,
        "max_waiting": 10_000,
    }
    assert not WebhookSettings().enabled
    assert WebhookSettings(**HOST).enabled


@pytest.mark.parametrize(
    ("name", "taken", "refused"),
    [
        ("at_once", [2, 256], [1, 257]),
        ("timeout_s", [0.01, 120], [0, 121]),
        ("retry_s", [0.05, 3600], [0, 3601]),
        ("give_up_s", [0.01, 604_800], [0, 604_801]),
        ("max_waiting", [1, 100_000], [0, 100_001]),
        ("ca_file", [None, "/etc/ca.pem"], ["ca.pem", ""]),
        ("allow_networks", [[], ["10.0.0.0/8", "fd00::/8", "10.1.2.3"]], []),
    ],
)
def test_bounds(name, taken, refused):
    for value in taken:
        WebhookSettings(**HOST, **{name: value})
    for value in refused:
        with pytest.raises(ValidationError, match=name):
            WebhookSettings(**HOST, **{name: value})


@pytest.mark.parametrize(
    "host",
    [
        "hooks.shop.example", "receiver", "*.shop.example", "*", "hooks.shop.example:8443",
        "*.shop.example:8443", "xn--bcher-kva.example", "10.20.30.40", "10.20.30.40:80",
        "[fd00::1]", "[fd00::1]:8443", "127.0.0.1:9000", "3com.example",
    ],
)  # fmt: skip
def test_hosts(host):
    assert WebhookSettings(hosts=[host]).hosts == (host,)


@pytest.mark.parametrize(
    "host",
    [
        "", ".", "*.", "**", "*:443", "https://hooks.shop.example", "hooks.shop.example/",
        "hooks.shop.example.", "Hooks.Shop.example", "hooks..example", "-a.example", "a-.example",
        "*.example", "hooks.*.example", "*hooks.example", "user@hooks.example", "hooks.example:0",
        "hooks.example:65536", "hooks.example:", "bücher.example", "hooks.example ", "127.1",
        "0x7f.0.0.1", "2130706433", "[fd00::0001]", "fd00::1", "[::ffff:10.0.0.1]", "[FD00::1]",
        "*.10.0.0.1", "a" * 64 + ".example", ("a" * 60 + ".") * 5 + "example",
    ],
)  # fmt: skip
def test_what_is_no_host_is_refused(host):
    with pytest.raises(ValidationError, match=r"hosts\.0[\s\S]*(is no host|has a port)"):
        WebhookSettings(hosts=[host])


@pytest.mark.parametrize(
    "network", ["10.0.0.1/8", "10.0.0.0/33", "inside", "", "0.0.0.0/0", "::/0"]
)
def test_what_is_no_network_is_refused(network):
    with pytest.raises(ValidationError, match=r"allow_networks\.0"):
        WebhookSettings(**HOST, allow_networks=[network])


@pytest.mark.parametrize(
    "alone", [{"allow_http": True}, {"allow_networks": ["10.0.0.0/8"]}, {"ca_file": "/etc/ca.pem"}]
)
def test_how_nobody_is_called_is_no_setting(alone):
    with pytest.raises(ValidationError, match=f"{next(iter(alone))} says how hosts are called"):
        WebhookSettings(**alone)


def test_a_misspelled_key_is_named():
    with pytest.raises(ValidationError, match="host"):
        WebhookSettings(host=["hooks.shop.example"])
