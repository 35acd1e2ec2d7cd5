"""Where a finder's ONNX file lies: in this package, on this machine, or on the Hub."""

from __future__ import annotations

import hashlib
from pathlib import Path

from deployments import hub
from deployments.finder_settings import FinderSettings
from deployments.missing import MissingHere

BUNDLED = Path(__file__).parent / "weights" / "u2netp.onnx"
"""The bundled U2-Net-p; `README.md` beside it names its source and licence."""

BUNDLED_SHA256 = "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8"


class FinderError(Exception):
    """A finder cannot be loaded; the message is one clause that begins with the setting's name."""


class FinderMissing(FinderError, MissingHere):
    """A file or a package of a finder is not on this machine."""


def local_file(settings: FinderSettings) -> Path | None:
    """Tell which file on this machine the settings name, without the Hub.

    Returns:
        The file; None where the weights are a repository of the Hub.

    Raises:
        FinderMissing: There is no such file.
        FinderError: The name has no valid form, or no revision is given.
    """
    if settings.bundled:
        return BUNDLED
    name = settings.weights
    path = Path(name).expanduser()
    if path.is_dir():
        if not (path / settings.file).is_file():
            raise FinderMissing(f"finder.file: the folder {name} has no {settings.file}")
        return path / settings.file
    if path.is_file():
        return path
    if name.startswith((".", "/", "~")) or name.endswith(".onnx"):
        raise FinderMissing(f"finder.weights: {name} does not exist")
    if not hub.is_hub_id(name):
        raise FinderError(
            f"finder.weights: {name!r} is neither 'bundled', nor a file or folder that exists, nor "
            "a Hub id like owner/name"
        )
    try:
        hub.check_revision(name, settings.revision)
    except hub.HubError as error:
        raise FinderError(f"finder.weights: {error}") from None
    return None


def find_file(settings: FinderSettings) -> Path:
    """Find the ONNX file; it is downloaded when the weights are a Hub id.

    Raises:
        FinderError: As `local_file`, or the Hub does not give it.
    """
    local = local_file(settings)
    if local is not None:
        return local
    try:
        folder = hub.download(settings.weights, settings.revision, [settings.file])
    except hub.HubError as error:
        raise FinderError(f"finder.weights: {error}") from None
    if not (folder / settings.file).is_file():
        raise FinderError(
            f"finder.file: {settings.weights} at revision {settings.revision} has no "
            f"{settings.file}"
        )
    return folder / settings.file


def read_file(file: Path, sha256: str | None) -> bytes:
    """Read an ONNX file whole, so that what is checked is what is loaded.

    Args:
        file: The file.
        sha256: Its SHA-256 in hexadecimal digits; None does not check it.

    Raises:
        FinderError: It cannot be read, or it is another file.
    """
    try:
        model = file.read_bytes()
    except OSError as error:
        raise FinderMissing(f"finder.weights: cannot read {file}: {error.strerror}") from None
    found = hashlib.sha256(model).hexdigest()
    if sha256 is not None and found != sha256:
        raise FinderError(
            f"finder.sha256: {file} is damaged or another file: its SHA-256 is {found}, and not "
            f"{sha256}"
        )
    return model
