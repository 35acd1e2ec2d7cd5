"""Keeps libraries from reporting their use to their makers, over the network."""

from __future__ import annotations

import os
import sys


def stop() -> None:
    """Stop ONNX Runtime and OpenVINO from reporting; call it before they are imported.

    Both report from their import on, and keep an id of this machine in the user's folder.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    # OpenVINO asks for this package, and is silent where it is not installed.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
