"""Combinations of keys, address and settings that the service does not start with."""

from __future__ import annotations

import logging

import pytest

from deployments.ingress.http.exposure import UnsafeConfiguration, check_exposure, is_loopback
from deployments.settings import IngressSettings

OPEN = ["0.0.0.0", "::", "10.1.2.3", "2001:db8::1", "shop.example", "localhost.example", ""]  # noqa: S104 - only compared
LOOPBACK = ["127.0.0.1", "127.8.9.1", "::1", "localhost"]


@pytest.mark.parametrize("host", LOOPBACK)
def test_without_keys_this_machine_may_call_and_the_log_says_so(caplog, host):
    assert is_loopback(host)
    with caplog.at_level(logging.WARNING):
        check_exposure(IngressSettings(), keyed=False, host=host)
    assert "no API keys are set" in caplog.text


@pytest.mark.parametrize("host", OPEN)
def test_without_keys_other_machines_may_not(host):
    assert not is_loopback(host)
    with pytest.raises(UnsafeConfiguration, match=r"BACKDROP_API_KEYS.*allow_anonymous: true"):
        check_exposure(IngressSettings(), keyed=False, host=host)


def test_unless_they_are_let_in_by_name(caplog):
    with caplog.at_level(logging.WARNING):
        check_exposure(IngressSettings(allow_anonymous=True), keyed=False, host="0.0.0.0")  # noqa: S104
    assert "whoever reaches 0.0.0.0 may call" in caplog.text


@pytest.mark.parametrize("host", OPEN + LOOPBACK)
def test_with_keys_any_address_will_do(caplog, host):
    for settings in (IngressSettings(), IngressSettings(require_key=True, public_results=False)):
        check_exposure(settings, keyed=True, host=host)
    assert not caplog.records


@pytest.mark.parametrize("name", ["require_key", "public_results"])
def test_settings_that_need_keys_do_not_start_without(name):
    settings = IngressSettings.model_validate({name: name == "require_key"})
    with pytest.raises(UnsafeConfiguration, match=rf"ingress\.{name}.*BACKDROP_API_KEYS_FILE"):
        check_exposure(settings, keyed=False, host="127.0.0.1")


def test_requiring_keys_and_letting_everybody_in_contradict_each_other():
    with pytest.raises(ValueError, match="contradict"):
        IngressSettings(require_key=True, allow_anonymous=True)
