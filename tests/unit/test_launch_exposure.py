"""What `make run` says about who may call, and refuses before it starts anything."""

from __future__ import annotations

import pytest

from deployments.ingress.http.api_keys import FILE_VARIABLE, KEYS_VARIABLE
from deployments.launch import LaunchError, _check_exposure

OPEN = {"import_path": "deployments.app:build", "args": {}}


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch):
    monkeypatch.delenv(KEYS_VARIABLE, raising=False)
    monkeypatch.delenv(FILE_VARIABLE, raising=False)


def test_without_keys_it_says_who_may_call(capsys):
    _check_exposure(OPEN, "127.0.0.1")
    assert "no API keys are set: whoever is on this machine may call" in capsys.readouterr().out


def test_without_keys_no_other_address_is_served():
    with pytest.raises(LaunchError, match=r"0\.0\.0\.0 and no API keys are set"):
        _check_exposure(OPEN, "0.0.0.0")  # noqa: S104 - what must be refused


def test_keys_of_the_environment_or_of_the_application_count(monkeypatch, capsys):
    own = {**OPEN, "runtime_env": {"env_vars": {KEYS_VARIABLE: "shop:s3cret"}}}
    _check_exposure(own, "0.0.0.0")  # noqa: S104
    monkeypatch.setenv(KEYS_VARIABLE, "shop:s3cret")
    _check_exposure(OPEN, "0.0.0.0")  # noqa: S104
    assert capsys.readouterr().out == ""


def test_keys_that_are_none_are_named_before_anything_starts(monkeypatch):
    monkeypatch.setenv(KEYS_VARIABLE, "shop")
    with pytest.raises(LaunchError, match="pair 1 is not one"):
        _check_exposure(OPEN, "127.0.0.1")
