"""Signed files: what another program reads in them, and which credentials are refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import c2pa
import numpy as np
import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from PIL import Image

from deployments.composition import Look, Output
from deployments.errors import InternalError
from deployments.jobs import GeneratedImage, OpenedPhoto, PreparedPhoto
from deployments.recipes import Recipe
from deployments.settings import StudioSettings
from deployments.studio.credentials import (
    CERTIFICATE_VARIABLE,
    KEY_VARIABLE,
    CredentialsRefused,
    load_signer,
)
from deployments.studio.deployment import Studio
from deployments.studio.encoding import encode
from deployments.studio.finishing import finished
from deployments.studio.marking import metadata_of
from tests.certificates import Certified, certified

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
SHA256 = "ab" * 32
RECIPE = Recipe(
    model="demo",
    weights=None,
    scheduler=None,
    source="upload",
    source_key="0" * 32,
    photo_key="0" * 32,
    mask_key=None,
    fidelity=None,
    version="0.1.0",
    created="2026-01-02T03:04:05+00:00",
    settings=None,
    control=None,
    photo_sha256=SHA256,
)
NOBODY: Any = object()
"""A finder that is not asked."""
MEDIA_TYPES = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}


@pytest.fixture(scope="module")
def shop() -> Certified:
    return certified()


def environment(given: Certified, **changes: str) -> dict[str, str]:
    return {CERTIFICATE_VARIABLE: given.chain, KEY_VARIABLE: given.key, **changes}


def of(file_format: str, recipe: Recipe = RECIPE) -> Recipe:
    return replace(recipe, look=Look(output=Output(file_format)))


def made(recipe: Recipe) -> bytes:
    return encode(PIXELS, recipe.look.output, metadata_of(recipe, public=True))


def read(file: bytes, file_format: str, trusted: str | None = None) -> tuple[str, dict[str, Any]]:
    """How valid a file is to one who trusts an authority, and its manifest."""
    trust = {} if trusted is None else {"trust": {"trust_anchors": trusted}}
    with (
        c2pa.Context.from_dict({"verify": {"ocsp_fetch": False}, **trust}) as context,
        c2pa.Reader(MEDIA_TYPES[file_format], BytesIO(file), context=context) as reader,
    ):
        document = json.loads(reader.json())
        return reader.get_validation_state(), document["manifests"][document["active_manifest"]]


@pytest.mark.parametrize("file_format", MEDIA_TYPES)
def test_the_library_s_reader_trusts_what_was_signed(shop: Certified, file_format: str) -> None:
    recipe = of(file_format)
    file = made(recipe)
    signed = load_signer(environment(shop)).signed(file, recipe)
    state, manifest = read(signed, file_format, shop.authority)
    assert state == "Trusted"
    assert read(signed, file_format, certified().authority)[0] == "Valid"  # signed, by a stranger
    assert manifest["signature_info"]["common_name"] == "Test shop"
    assert manifest["claim_generator_info"][0]["name"] == "Backdrop"
    (ingredient,) = manifest["ingredients"]
    assert ingredient["instance_id"] == f"urn:sha256:{SHA256}"
    assert ingredient["relationship"] == "parentOf"
    assert not ingredient.keys() & {"thumbnail", "manifest_data", "data"}
    opened, edited = manifest["assertions"][0]["data"]["actions"]
    assert (opened["action"], edited["action"]) == ("c2pa.opened", "c2pa.edited")
    assert edited["digitalSourceType"].endswith("/trainedAlgorithmicMedia")
    # The picture and its other metadata are as they were.
    with Image.open(BytesIO(file)) as plain, Image.open(BytesIO(signed)) as other:
        assert np.array_equal(np.asarray(plain), np.asarray(other))
        assert plain.info["xmp"] == other.info["xmp"]
    # A few kilobytes: the upload is not in it.
    assert len(signed) < len(file) + 20_000


@pytest.mark.parametrize("file_format", MEDIA_TYPES)
def test_a_changed_file_is_seen(shop: Certified, file_format: str) -> None:
    recipe = of(file_format)
    signed = bytearray(load_signer(environment(shop)).signed(made(recipe), recipe))
    signed[-40] ^= 1
    assert read(bytes(signed), file_format, shop.authority)[0] == "Invalid"


def test_without_the_upload_s_hash_nothing_is_said_of_it(shop: Certified) -> None:
    recipe = replace(of("png"), photo_sha256=None)
    signed = load_signer(environment(shop)).signed(made(recipe), recipe)
    state, manifest = read(signed, "png", shop.authority)
    assert state == "Trusted"
    assert manifest.get("ingredients", []) == []
    (created,) = manifest["assertions"][0]["data"]["actions"]
    assert created["action"] == "c2pa.created"
    assert created["digitalSourceType"].endswith("/trainedAlgorithmicMedia")


@pytest.mark.parametrize("kind", ["P-256", "P-384", "P-521", "Ed25519", "RSA"])
def test_every_kind_of_key_that_c2pa_knows_signs(kind: str) -> None:
    given = certified(kind)
    signed = load_signer(environment(given)).signed(made(of("jpeg")), of("jpeg"))
    assert read(signed, "jpeg", given.authority)[0] == "Trusted"


def test_files_hold_the_same_as_the_variables(shop: Certified, tmp_path: Path) -> None:
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_text(shop.chain)
    key.write_text(shop.key)
    named = {f"{CERTIFICATE_VARIABLE}_FILE": str(chain), f"{KEY_VARIABLE}_FILE": str(key)}
    signed = load_signer(named).signed(made(RECIPE), RECIPE)
    assert read(signed, "png", shop.authority)[0] == "Trusted"


def test_without_any_nothing_is_signed() -> None:
    assert load_signer({}) is None
    assert load_signer({CERTIFICATE_VARIABLE: "", f"{KEY_VARIABLE}_FILE": ""}) is None
    result = finished(
        GeneratedImage(PIXELS, 0.1, "demo"),
        RECIPE,
        OpenedPhoto(PreparedPhoto(PIXELS), None),
        StudioSettings(),
        None,
    )
    assert b"jumb" not in result.file


def test_a_result_is_signed_where_there_is_a_signer(shop: Certified) -> None:
    result = finished(
        GeneratedImage(PIXELS, 0.1, "demo"),
        RECIPE,
        OpenedPhoto(PreparedPhoto(PIXELS), None),
        StudioSettings(),
        None,
        load_signer(environment(shop)),
    )
    assert read(result.file, "png", shop.authority)[0] == "Trusted"


async def test_a_studio_signs_with_what_its_environment_holds(
    shop: Certified, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment(shop).items():
        monkeypatch.setenv(name, value)
    studio = Studio(finder=NOBODY)
    image, opened = GeneratedImage(PIXELS, 0.1, "demo"), OpenedPhoto(PreparedPhoto(PIXELS), None)
    result = await studio.finish(image, of("webp"), opened)
    assert read(result.file, "webp", shop.authority)[0] == "Trusted"
    # Its smaller copy is marked, and not signed.
    tile = await studio.make_tile(result.file, 128)
    assert b"trainedAlgorithmicMedia" in tile
    with pytest.raises(c2pa.C2paError, match="ManifestNotFound"):
        read(tile, "webp")
    monkeypatch.setenv(KEY_VARIABLE, certified().key)
    with pytest.raises(CredentialsRefused, match="does not belong to the certificate"):
        Studio(finder=NOBODY)


def wrong(shop: Certified, folder: Path) -> dict[str, tuple[Mapping[str, str], str]]:
    """By what is wrong, an environment and the beginning of what is said of it."""
    certificate, key = CERTIFICATE_VARIABLE, KEY_VARIABLE
    gone = {f"{certificate}_FILE": str(folder / "gone.pem"), key: shop.key}
    return {
        "no key": ({certificate: shop.chain}, f"{key}: it is not set"),
        "no certificate": ({key: shop.key}, f"{certificate}: it is not set"),
        "no file": (gone, f"{certificate}_FILE: the file cannot be read: No such file"),
        "a folder": ({**gone, f"{certificate}_FILE": str(folder)}, f"{certificate}_FILE: the file"),
        "both": (
            environment(shop, **{f"{key}_FILE": "key.pem"}), f"{key}: {key}_FILE is set too"
        ),
        "no PEM": (environment(shop, **{certificate: "x"}), f"{certificate}: it is no certificate"),
        "a key for it": (
            environment(shop, **{certificate: shop.key}), f"{certificate}: it is no certificate"
        ),
        "no key in PEM": (environment(shop, **{key: "x"}), f"{key}: it is no private key"),
        "a password": (environment(shop, **{key: shop.locked}), f"{key}: it is no private key"),
        "another's": (
            environment(shop, **{key: certified().key}), f"{key}: it does not belong to the"
        ),
        "the authority first": (
            environment(shop, **{certificate: shop.authority}), f"{key}: it does not belong"
        ),
        "expired": (
            environment(certified(begins_days=-30, ends_days=-1)),
            f"{certificate}: the certificate is valid from",
        ),
        "not yet": (
            environment(certified(begins_days=1)), f"{certificate}: the certificate is valid from"
        ),
        "a server's": (
            environment(certified(purpose=ExtendedKeyUsageOID.SERVER_AUTH)), f"{certificate}: "
        ),
        "no purpose": (environment(certified(purpose=None)), f"{certificate}: "),
        "a short key": (environment(certified("short RSA")), f"{key}: C2PA signs with keys of"),
        "another curve": (environment(certified("secp256k1")), f"{key}: C2PA signs with keys of"),
    }  # fmt: skip


@pytest.mark.parametrize(
    "what",
    ["no key", "no certificate", "no file", "a folder", "both", "no PEM", "a key for it",
     "no key in PEM", "a password", "another's", "the authority first", "expired", "not yet",
     "a server's", "no purpose", "a short key", "another curve"],
)  # fmt: skip
def test_wrong_credentials_are_refused_in_a_sentence(
    shop: Certified, tmp_path: Path, what: str
) -> None:
    given, told = wrong(shop, tmp_path)[what]
    with pytest.raises(CredentialsRefused) as caught:
        load_signer(given)
    message = str(caught.value)
    assert message.startswith(told)
    assert "\n" not in message
    assert not message.endswith(".")
    assert "PRIVATE KEY" not in message
    assert str(tmp_path) not in message


def test_what_cannot_be_signed_is_the_service_s_fault(shop: Certified) -> None:
    with pytest.raises(InternalError, match="could not be signed"):
        load_signer(environment(shop)).signed(b"no picture", RECIPE)
