"""A scene as plain data: shapes, materials, lights and a camera, in Mitsuba's own words.

Matrices, textures and meshes stay NumPy arrays until engine.py hands them to Mitsuba, so that
scenes can be described and tested without it. Units are about 10 cm; y points up, the camera looks
along -z, and a product would stand at the origin on y = 0.
"""

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.float32]
Vector: TypeAlias = tuple[float, float, float]
Plugin: TypeAlias = dict[str, Any]
Rng: TypeAlias = np.random.Generator

GROUPS = ("first", "second", "own", "metal", "light")
"""What a shape is recoloured as: two free colours, its own, a metal, a light or the sky."""


@dataclass(frozen=True)
class Transform:
    """A matrix [4, 4] from a shape's own space to the scene's."""

    matrix: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Texture:
    """Pixels [H, W, C] in linear light for a surface, laid `repeat` times over it."""

    pixels: Array
    repeat: float = 1.0


@dataclass(frozen=True)
class Panorama:
    """An equirectangular picture [H, W, 3] in linear light."""

    pixels: Array


@dataclass(frozen=True)
class Mesh:
    """Triangles: corners [V, 3], faces [F, 3], texture coordinates [V, 2]."""

    corners: Array
    faces: npt.NDArray[np.uint32]
    uv: Array


@dataclass
class Scene:
    """Parts by name, the group of each shape, and what the captions and colours need to know."""

    kind: str
    parts: dict[str, Plugin] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    samples: int = 32
    depth: int = 5

    def add(
        self, name: str, shape: Plugin, material: Plugin | None = None, group: str = "own"
    ) -> None:
        """Add a shape under a name of its own (a number is added where the name is taken)."""
        if group not in GROUPS:
            raise ValueError(f"group {group} is none of {', '.join(GROUPS)}")
        free, n = name, 1
        while free in self.parts:
            n += 1
            free = f"{name}_{n}"
        self.parts[free] = shape if material is None else {**shape, "bsdf": material}
        if "emitter" not in shape:
            self.groups[free] = group

    def light(self, name: str, emitter: Plugin) -> None:
        """Add a light that has no shape, or a shape that shines."""
        self.parts[name] = emitter
        if "emitter" in emitter:
            self.groups[name] = "light"


def moved(x: float, y: float, z: float) -> Transform:
    """A shift."""
    out = np.eye(4)
    out[:3, 3] = x, y, z
    return Transform(out)


def scaled(x: float, y: float | None = None, z: float | None = None) -> Transform:
    """A stretch, the same along all axes unless they are given."""
    return Transform(np.diag([x, x if y is None else y, x if z is None else z, 1.0]))


def turned(axis: int, degrees: float) -> Transform:
    """A turn about axis 0 (x), 1 (y) or 2 (z)."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    out = np.eye(4)
    a, b = (axis + 1) % 3, (axis + 2) % 3
    out[a, a], out[a, b], out[b, a], out[b, b] = c, -s, s, c
    return Transform(out)


def chain(*steps: Transform) -> Transform:
    """The last step is done first, as in a product of matrices."""
    out = np.eye(4)
    for step in steps:
        out = out @ step.matrix
    return Transform(out)


def look_at(origin: Vector, target: Vector, up: Vector = (0.0, 1.0, 0.01)) -> Transform:
    """A camera's or a lamp's place: its own z axis points from origin to target."""
    ahead = np.subtract(target, origin)
    ahead = ahead / np.linalg.norm(ahead)
    left = np.cross(up, ahead)
    left = left / np.linalg.norm(left)
    out = np.eye(4)
    out[:3, 0], out[:3, 1], out[:3, 2] = left, np.cross(ahead, left), ahead
    out[:3, 3] = origin
    return Transform(out)


def floor(size: float = 12.0, y: float = 0.0, turn: float = 0.0, z: float = 0.0) -> Plugin:
    """A square in the plane y, facing up, of half-width `size`."""
    place = chain(moved(0, y, z), turned(1, turn), turned(0, -90), scaled(size))
    return {"type": "rectangle", "to_world": place}


def wall(z: float, size: float = 12.0, y: float = 0.0) -> Plugin:
    """A square in the plane z, facing the camera."""
    return {"type": "rectangle", "to_world": chain(moved(0, y, z), scaled(size))}


def box(centre: Vector, half: Vector, turn: float = 0.0) -> Plugin:
    """A box by its centre and half sizes, turned about the vertical."""
    return {"type": "cube", "to_world": chain(moved(*centre), turned(1, turn), scaled(*half))}


def sphere(centre: Vector, radius: float) -> Plugin:
    """A ball."""
    return {"type": "sphere", "center": list(centre), "radius": float(radius)}


def mesh(corners: Array, faces: npt.NDArray[np.uint32], uv: Array | None = None) -> Plugin:
    """Triangles of one's own."""
    flat = np.zeros((len(corners), 2), np.float32) if uv is None else uv
    found = Mesh(np.asarray(corners, np.float32), np.asarray(faces, np.uint32), flat)
    return {"type": "mesh", "mesh": found}


def grid(points: Array) -> Plugin:
    """A sheet through points [H, W, 3]; seen from the side on which rows x columns turn left."""
    h, w = points.shape[:2]
    at = np.arange(h * w, dtype=np.uint32).reshape(h, w)
    a, b, c, d = at[:-1, :-1], at[:-1, 1:], at[1:, 1:], at[1:, :-1]
    faces = np.concatenate(
        [np.stack([a, d, c], -1).reshape(-1, 3), np.stack([a, c, b], -1).reshape(-1, 3)]
    )
    v, u = np.meshgrid(np.linspace(0, 1, h), np.linspace(0, 1, w), indexing="ij")
    uv = np.stack([u, v], -1).reshape(-1, 2).astype(np.float32)
    return mesh(points.reshape(-1, 3), faces, uv)


def lathe(profile: list[tuple[float, float]], x: float, z: float, sides: int = 72) -> Plugin:
    """A body turned about the vertical through (x, z); profile of (radius, height) points."""
    angle = np.linspace(0, 2 * np.pi, sides + 1)
    r, y = (np.array([p[i] for p in profile], np.float32)[:, None] for i in (0, 1))
    rows = np.stack(
        [
            x + r * np.cos(angle),
            np.broadcast_to(y, (len(profile), sides + 1)),
            z - r * np.sin(angle),
        ],
        -1,
    )
    return grid(np.asarray(rows[::-1], np.float32))


def drum(
    x: float, z: float, radius: float, height: float, base: float = 0.0, edge: float = 0.02
) -> Plugin:
    """A round plinth with a small rounded edge."""
    top, e = base + height, min(edge, height / 2, radius / 2)
    bend = [
        (radius - e + e * np.sin(a), top - e + e * np.cos(a)) for a in np.linspace(0, np.pi / 2, 6)
    ]
    # corners are doubled, so that the flat parts keep flat normals
    profile = [
        (0.0, top),
        (radius - e - 1e-3, top),
        *bend,
        (radius, top - e - 1e-3),
        (radius, base),
    ]
    return lathe([(float(r), float(y)) for r, y in profile], x, z)
