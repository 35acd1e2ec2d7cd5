"""Tiny ONNX files, written by hand: what the package `onnx` would take 20 MB to write.

A file is a protobuf message: fields, each with its number and its kind, one after the other. The
numbers are those of the format's `onnx.proto`.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FLOAT, FLOAT16 = 1, 10
Sides = Sequence[int | str]


@dataclass(frozen=True)
class Value:
    """An input or an output. A side that is a text may have any length."""

    name: str
    sides: Sides
    kind: int = FLOAT


@dataclass(frozen=True)
class Node:
    """One operation."""

    operation: str
    inputs: Sequence[str]
    output: str
    domain: str = ""
    to: int | None = None
    axes: Sequence[int] = ()


def onnx_file(
    nodes: Sequence[Node],
    inputs: Sequence[Value],
    outputs: Sequence[Value],
    constants: dict[str, npt.NDArray[np.float32 | np.int64]],
) -> bytes:
    """The bytes of a file with one graph."""
    graph = b"".join([
        *(_message(1, _node(node)) for node in nodes),
        _text(2, "graph"),
        *(_message(5, _tensor(name, values)) for name, values in constants.items()),
        *(_message(11, _value(value)) for value in inputs),
        *(_message(12, _value(value)) for value in outputs),
    ])  # fmt: skip
    domains = {"": 13} | {node.domain: 1 for node in nodes if node.domain}
    opsets = b"".join(
        _message(8, _text(1, domain) + _number(2, version)) for domain, version in domains.items()
    )
    return _number(1, 8) + opsets + _message(7, graph)


def _node(node: Node) -> bytes:
    attributes = b""
    if node.to is not None:
        attributes += _message(5, _text(1, "to") + _number(3, node.to) + _number(20, 2))
    return (
        b"".join(_text(1, name) for name in node.inputs)
        + _text(2, node.output)
        + _text(4, node.operation)
        + attributes
        + _text(7, node.domain)
    )


def _tensor(name: str, values: npt.NDArray[np.float32 | np.int64]) -> bytes:
    kind = {"float32": FLOAT, "int64": 7}[values.dtype.name]
    sides = b"".join(_number(1, side) for side in values.shape)
    return sides + _number(2, kind) + _text(8, name) + _message(9, values.tobytes())


def _value(value: Value) -> bytes:
    sides = b"".join(
        _message(1, _text(2, side) if isinstance(side, str) else _number(1, side))
        for side in value.sides
    )
    tensor = _number(1, value.kind) + _message(2, sides)
    return _text(1, value.name) + _message(2, _message(1, tensor))


def _varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out += struct.pack("B", number & 127 | 128)
        number >>= 7
    return out + struct.pack("B", number)


def _number(field: int, number: int) -> bytes:
    return _varint(field << 3) + _varint(number)


def _message(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _text(field: int, content: str) -> bytes:
    return _message(field, content.encode())
