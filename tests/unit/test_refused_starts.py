"""Parts that refuse to start where the configuration is surely a mistake."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ray import serve

from deployments.admission.deployment import OnlyAdmission
from deployments.ingress import deployment
from deployments.ingress.core.callbacks.signing import FILE_VARIABLE as SECRETS_FILE
from deployments.ingress.core.callbacks.signing import SECRETS_VARIABLE
from deployments.ingress.http.api_keys import FILE_VARIABLE, KEYS_VARIABLE
from deployments.ingress.http.exposure import UnsafeConfiguration
from deployments.settings import AppArgs

ELSEWHERE = "0.0.0.0"  # noqa: S104 - what must be refused


def test_an_ingress_without_keys_that_other_machines_can_reach(monkeypatch):
    for name in (KEYS_VARIABLE, FILE_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(deployment, "_http_host", lambda: ELSEWHERE)
    with pytest.raises(
        UnsafeConfiguration, match=r"machines can reach 0\.0\.0\.0 and no API"
    ) as at:
        deployment.Ingress(AppArgs(), None, None, None, {})
    assert "ingress.allow_anonymous: true" in str(at.value)


def test_callbacks_that_nobody_could_verify(monkeypatch):
    for name in (SECRETS_VARIABLE, SECRETS_FILE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(deployment, "_http_host", lambda: "127.0.0.1")
    args = AppArgs.model_validate({"ingress": {"webhooks": {"hosts": ["hooks.shop.example"]}}})
    with pytest.raises(ValueError, match=r"^webhooks\.hosts needs a secret to sign with: set "):
        deployment.Ingress(args, None, None, None, {})


def test_a_second_replica_of_the_admission(monkeypatch):
    context = SimpleNamespace(world_size=2)
    monkeypatch.setattr(serve, "get_replica_context", lambda: context)
    with pytest.raises(ValueError, match=r"num_replicas: the deployment admission has 2 replicas"):
        OnlyAdmission({})
    context.world_size = 1
    OnlyAdmission({})
