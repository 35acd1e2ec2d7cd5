"""Signatures of callbacks, verified by the package that receivers use."""

from __future__ import annotations

import base64
import logging
import time
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from deployments.ingress.core.callbacks.signing import (
    FILE_VARIABLE,
    MOST,
    SECRETS_VARIABLE,
    Signer,
)

BODY = b'{"type":"job.done","data":{"prompt":"Caf\xc3\xa9"}}'


def secret(number: int = 1, length: int = 32) -> str:
    return "whsec_" + base64.b64encode(bytes([number]) * length).decode()


def signed(signer: Signer, body: bytes = BODY) -> dict[str, str]:
    return signer.headers("msg_1", int(time.time()), body)


def verified(secret: str, headers: dict[str, str], body: bytes = BODY) -> None:
    Webhook(secret).verify(body, headers)


def test_a_receiver_verifies_what_was_sent():
    headers = signed(Signer({SECRETS_VARIABLE: secret()}))
    verified(secret(), headers)
    with pytest.raises(WebhookVerificationError):
        verified(secret(2), headers)
    with pytest.raises(WebhookVerificationError):
        verified(secret(), headers, BODY + b" ")
    for name, other in (("webhook-id", "msg_2"), ("webhook-timestamp", str(int(time.time()) - 9))):
        with pytest.raises(WebhookVerificationError):
            verified(secret(), headers | {name: other})


def test_the_signature_is_that_of_the_reference():
    now = datetime.now(UTC)
    headers = Signer({SECRETS_VARIABLE: secret()}).headers("msg_1", int(now.timestamp()), BODY)
    reference = Webhook(secret()).sign("msg_1", now, BODY.decode())
    assert headers["webhook-signature"] == reference


def test_while_secrets_change_each_of_them_signs():
    headers = signed(Signer({SECRETS_VARIABLE: f"{secret(1)}, {secret(2)}"}))
    assert len(headers["webhook-signature"].split(" ")) == 2
    for number in (1, 2):
        verified(secret(number), headers)


def test_a_file_is_read_again_when_it_has_changed(tmp_path, caplog):
    file = tmp_path / "secrets"
    file.write_text(f"# old\n{secret(1)}\n\n")
    signer = Signer({FILE_VARIABLE: str(file), SECRETS_VARIABLE: secret(3)})
    verified(secret(1), signed(signer))
    with caplog.at_level(logging.INFO):
        file.write_text(f"{secret(2)}\n")
        headers = signed(signer)
        verified(secret(2), headers)
        verified(secret(3), headers)
        with pytest.raises(WebhookVerificationError):
            verified(secret(1), headers)
        file.write_text("broken\n")
        verified(secret(2), signed(signer))
    assert "secret 1 must be whsec_" in caplog.text
    assert "whsec_" + "A" not in caplog.text
    assert secret(2) not in caplog.text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "webhooks.hosts needs a secret to sign with"),
        ("plain-secret", "secret 1 must be whsec_"),
        (secret().removeprefix("whsec_"), "secret 1 must be whsec_"),
        ("whsec_***", "secret 1 must be whsec_"),
        (secret(length=23), "24 to 64 bytes"),
        (secret(length=65), "24 to 64 bytes"),
        (f"{secret()},", "secret 2 must be"),
        (",".join(secret(n) for n in range(MOST + 1)), "name 9 secrets: 8 may be"),
    ],
)
def test_what_cannot_sign_is_refused_and_not_shown(text, told):
    with pytest.raises(ValueError, match=told) as refused:
        Signer({SECRETS_VARIABLE: text})
    for part in text.split(","):
        assert len(part) < 8 or part not in str(refused.value)


def test_a_file_that_cannot_be_used_is_refused(tmp_path):
    for content, told in ((None, "No such file"), ("# none\n", "names no secret")):
        file = tmp_path / "secrets"
        if content is not None:
            file.write_text(content)
        with pytest.raises(ValueError, match=f"{FILE_VARIABLE}.*{told}"):
            Signer({FILE_VARIABLE: str(file)})
