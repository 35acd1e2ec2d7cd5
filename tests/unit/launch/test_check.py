"""`backdrop check`: what is wrong with a configuration, without starting anything."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from deployments.ingress.core.callbacks import signing
from deployments.ingress.http.api_keys import FILE_VARIABLE, KEYS_VARIABLE
from deployments.launch.command import main
from deployments.studio import finders

ROOT = Path(__file__).parents[3]
SHIPPED = (ROOT / "serve_config.yaml").read_text(encoding="utf-8")


@pytest.fixture
def check(monkeypatch, capsys, tmp_path):
    """Run it on a text, or on no file at all; the exit and all that was printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(KEYS_VARIABLE, raising=False)
    monkeypatch.delenv(FILE_VARIABLE, raising=False)

    def run(text: str | None = None) -> tuple[object, str]:
        arguments = []
        if text is not None:
            Path("mine.yaml").write_text(text)
            arguments = ["mine.yaml"]
        monkeypatch.setattr(sys, "argv", ["backdrop", "check", *arguments])
        code: object = 0
        try:
            main()
        except SystemExit as end:
            code = end.code
        return code, capsys.readouterr().out

    return run


@pytest.mark.parametrize("text", [SHIPPED, None], ids=["shipped", "packaged"])
def test_a_configuration_in_order_exits_with_zero(check, text):
    code, out = check(text)
    assert code == 0
    assert "is in order; its models are stable-diffusion, controlnet" in out


def test_everything_wrong_is_one_line_each(check):
    text = SHIPPED.replace("scheduler: euler_a", "scheduler: fast").replace("port:", "prot:")
    code, _ = check(text)
    lines = str(code).splitlines()
    assert len(lines) == 3
    assert any("http_options.prot: unknown key" in line for line in lines)
    assert sum("mine.yaml: applications.0.args.models" in line for line in lines) == 2


def test_what_only_this_machine_lacks_is_told_and_is_no_error(check):
    """A configuration for a cluster is checked on a laptop."""
    code, out = check(SHIPPED.replace("weights: demo", "weights: /models/ours", 1))
    assert code == 0
    assert "on this machine it would not start: applications.0.args.models.0" in out
    assert "is in order" in out


@pytest.mark.parametrize(
    ("finder", "told"),
    [
        ("{network: isnet, weights: ./isnet.onnx}", "finder.weights: ./isnet.onnx does not exist"),
        ("{network: ben2, weights: '.'}", "finder.file: the folder . has no onnx/model.onnx"),
        ("{device: cuda}", "finder.device: cuda needs ONNX Runtime's build for CUDA"),
    ],
)
def test_a_finder_that_this_machine_lacks_is_told(check, monkeypatch, finder, told):
    monkeypatch.setattr(finders, "lacks_cuda", lambda: True)
    text = SHIPPED.replace("    args:\n", f"    args:\n      studio: {{finder: {finder}}}\n")
    code, out = check(text)
    assert code == 0
    assert f"it would not start: applications.0.args.studio.{told}" in out


@pytest.mark.parametrize(
    ("finder", "told"),
    [
        ("{network: ben2, weights: o/n}", "finder.weights: o/n on the Hub needs a revision"),
        ("{network: u2net, weights: mine.yaml, sha256: " + "f" * 64 + "}", "finder.sha256: mine"),
    ],
)
def test_a_finder_that_is_wrong_everywhere_is_an_error(check, finder, told):
    text = SHIPPED.replace("    args:\n", f"    args:\n      studio: {{finder: {finder}}}\n")
    code, out = check(text)
    assert str(code).startswith(f"backdrop: mine.yaml: applications.0.args.studio.{told}")
    assert "is in order" not in out


def test_weights_of_the_hub_without_a_revision_are_an_error(check):
    code, _ = check(SHIPPED.replace("weights: demo", "weights: owner/name", 1))
    assert "applications.0.args.models.0: weights: owner/name on the Hub needs a revision" in str(
        code
    )


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("studio", "must be name:secret pairs, one a line; line 3 is not one"),
        ("shop:other", "names two keys alike; line 3 is one"),
        ("studio:s3cret scopes=write", "line 3: scopes must be some of generate, read, delete"),
        ("studio:s3cret expires=soon", "line 3: expires must be a date or a time"),
        ("studio:sha256:12", "after sha256:; line 3 has not"),
    ],
)
def test_a_wrong_line_of_the_keys_file_is_an_error(check, monkeypatch, tmp_path, line, told):
    file = tmp_path / "keys"
    file.write_text(f"# our shops\nshop:first-secret\n{line}\n")
    monkeypatch.setenv(FILE_VARIABLE, str(file))
    code, out = check(SHIPPED)
    assert told in str(code)
    (sentence,) = str(code).splitlines()
    assert sentence.startswith("backdrop: mine.yaml: applications.0.args.ingress: ")
    assert "s3cret" not in sentence
    assert "is in order" not in out


def test_a_keys_file_that_is_elsewhere_is_told_and_is_no_error(check, monkeypatch):
    monkeypatch.setenv(FILE_VARIABLE, "/nowhere/keys")
    code, out = check(SHIPPED)
    assert code == 0
    assert "it would not start: applications.0.args.ingress: BACKDROP_API_KEYS_FILE: " in out


def test_a_secret_of_callbacks_that_is_none_is_an_error(check, monkeypatch):
    monkeypatch.setenv(signing.SECRETS_VARIABLE, "s3cret")
    hooks = "      ingress:\n        webhooks: {hosts: [hooks.shop.example]}\n"
    code, _ = check(SHIPPED.replace("      ingress:\n", hooks))
    assert "applications.0.args.ingress: BACKDROP_WEBHOOK_SECRETS: secret 1 must be" in str(code)


def test_a_certificate_that_is_none_is_an_error(check, monkeypatch):
    pytest.importorskip("c2pa")
    monkeypatch.setenv("BACKDROP_C2PA_CERTIFICATE", "x")
    monkeypatch.setenv("BACKDROP_C2PA_KEY", "x")
    code, _ = check(SHIPPED)
    assert "applications.0: BACKDROP_C2PA_CERTIFICATE: it is no certificate in PEM" in str(code)


def test_a_finder_on_the_hub_is_checked_without_it(check):
    finder = "{network: ben2, weights: o/n, revision: v1}"
    text = SHIPPED.replace("    args:\n", f"    args:\n      studio: {{finder: {finder}}}\n")
    code, out = check(text)
    assert code == 0
    assert "would not start" not in out


def test_a_finder_that_contradicts_itself_is_wrong(check):
    text = SHIPPED.replace("    args:\n", "    args:\n      studio: {finder: {network: ben2}}\n")
    code, _ = check(text)
    assert "applications.0.args.studio.finder: Value error, network ben2 is not bundled" in str(
        code
    )


def test_a_certificate_that_cannot_sign_is_told(check, monkeypatch):
    monkeypatch.setenv("BACKDROP_C2PA_CERTIFICATE_FILE", "/nowhere/chain.pem")
    monkeypatch.setenv("BACKDROP_C2PA_KEY", "x")
    code, out = check(SHIPPED)
    assert code == 0
    assert (
        "on this machine it would not start: applications.0: BACKDROP_C2PA_CERTIFICATE_FILE: the "
        "file cannot be read" in out
    )
    assert "/nowhere" not in out


def test_it_starts_nothing(check, monkeypatch):
    monkeypatch.setattr("subprocess.Popen.__init__", lambda *_, **__: pytest.fail("it started"))
    assert check(SHIPPED)[0] == 0
    assert sorted(path.name for path in Path().iterdir()) == ["mine.yaml"]
