"""What docs/jobs.md tells receivers to paste receives what the service sends, and nothing else."""

from __future__ import annotations

import base64
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import yaml

from deployments.ingress.core.callbacks.signing import SECRETS_VARIABLE, Signer
from deployments.ingress.core.callbacks.targets import Target, Targets
from deployments.ingress.remote.receivers import HttpReceivers
from deployments.settings import IngressSettings
from deployments.webhook_settings import WebhookSettings
from tests.documents import Block, blocks
from tests.unit.ingress.background import submit, until
from tests.unit.ingress.memory import surface

PAGE = "docs/jobs.md"
RUNNERS = {"python": [sys.executable, "-c"], "js": ["node", "--input-type=module", "-e"]}
OLD, NEW = ("whsec_" + base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))


def receivers() -> list[Block]:
    return [block for block in blocks(*RUNNERS, document=PAGE) if SECRETS_VARIABLE in block.text]


class Pasted:
    """A pasted receiver that runs until the end of the block."""

    def __init__(self, block: Block, folder: Path, secrets: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._command = [*RUNNERS[block.language], block.text]
        self._environment = {**os.environ, "PORT": str(self.port), SECRETS_VARIABLE: secrets}
        self._printed, self._said = folder / "printed.txt", folder / "said.txt"

    def __enter__(self) -> Pasted:
        if shutil.which(self._command[0]) is None:
            pytest.skip(f"{self._command[0]} is not installed")
        with self._printed.open("w") as printed, self._said.open("w") as said:
            self._process = subprocess.Popen(
                self._command, env=self._environment, stdout=printed, stderr=said
            )
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
            except OSError:
                assert self._process.poll() is None, self._said.read_text()
                assert time.monotonic() < deadline
                time.sleep(0.05)
            else:
                return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()

    @property
    def printed(self) -> list[str]:
        return self._printed.read_text().splitlines()

    @property
    def target(self) -> Target:
        return Target(f"http://127.0.0.1:{self.port}/", "http", "127.0.0.1", self.port)


class Nobody:
    def count(self, outcome: str) -> None:
        pass


def settings(port: int) -> WebhookSettings:
    return WebhookSettings(
        hosts=[f"127.0.0.1:{port}"], allow_http=True, allow_networks=["127.0.0.0/8"]
    )


def sender(port: int, secrets: str) -> HttpReceivers:
    return HttpReceivers(settings(port), Signer({SECRETS_VARIABLE: secrets}), Nobody())


@pytest.mark.parametrize("block", receivers(), ids=lambda block: block.language)
async def test_a_pasted_receiver_takes_what_the_service_sends(block, tmp_path):
    with Pasted(block, tmp_path, f"{OLD},{NEW}") as pasted:
        hosts = IngressSettings(webhooks=settings(pasted.port))
        api = surface(tmp_path / "data", hosts, receivers=sender(pasted.port, NEW))
        answer = await submit(api, callback_url=pasted.target.url)
        assert answer.status_code == 202, answer.text
        async with api.app.router.lifespan_context(api.app):
            await until(lambda: len(pasted.printed) == 3)
        key = answer.json()["id"]
        assert pasted.printed == [
            f"job.image {key} 1", f"job.image {key} 2", f"job.done {key} 2",
        ]  # fmt: skip


@pytest.mark.parametrize("block", receivers(), ids=lambda block: block.language)
async def test_a_pasted_receiver_refuses_what_others_send(block, tmp_path):
    body = b'{"type":"job.done","data":{"id":"x","images":[]}}'
    with Pasted(block, tmp_path, OLD) as pasted:
        url = pasted.target.url
        assert (await sender(pasted.port, NEW).post(pasted.target, "msg_1", body)).status == 401
        good = Signer({SECRETS_VARIABLE: OLD})
        now = int(time.time())
        headers = good.headers("msg_1", now, body)
        async with httpx.AsyncClient() as client:
            for wrong in (
                good.headers("msg_1", now - 3600, body),
                good.headers("msg_1", now + 3600, body),
                headers | {"webhook-id": "msg_2"},
                headers | {"webhook-timestamp": "x"},
                headers | {"webhook-signature": "v1,"},
                headers | {"webhook-signature": ""},
                {name: value for name, value in headers.items() if name != "webhook-signature"},
                {name: value for name, value in headers.items() if name != "webhook-id"},
                {},
            ):
                answer = await client.post(url, content=body, headers=wrong)
                assert answer.status_code == 401, wrong
            assert (await client.post(url, content=body + b" ", headers=headers)).status_code == 401
            assert pasted.printed == []
            for _ in range(2):  # the same again is no second event
                answer = await client.post(url, content=body, headers=headers)
                assert answer.status_code == 204
        # With the secret that is to come beside the one that goes.
        both = sender(pasted.port, f"{NEW},{OLD}")
        assert (await both.post(pasted.target, "msg_2", body)).status == 204
        assert pasted.printed == ["job.done x 0"] * 2


def test_the_page_has_a_receiver_for_both_languages():
    assert [block.language for block in receivers()] == ["python", "js"]


def test_the_configurations_are_valid_and_allow_what_is_called():
    told = [block for block in blocks("yaml", document=PAGE) if "webhooks:" in block.text]
    webhooks = [
        IngressSettings.model_validate(yaml.safe_load(block.text)["ingress"]).webhooks
        for block in told
    ]
    assert len(webhooks) == 2
    (call,) = (block for block in blocks("bash", document=PAGE) if "callback_url" in block.text)
    url = call.text.partition("callback_url=")[2].strip()
    assert Targets(webhooks[0]).read(url).host == "hooks.shop.example"
    assert Targets(webhooks[1]).read("https://receiver.internal/x").port == 443


def test_the_secret_that_is_made_can_sign():
    (make,) = (block for block in blocks("bash", document=PAGE) if "openssl rand" in block.text)
    done = subprocess.run(["bash", "-c", make.text], capture_output=True, text=True, check=True)
    name, _, secret = done.stdout.strip().partition("=")
    Signer({name: secret})
