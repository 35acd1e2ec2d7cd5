"""Renders a described scene with Mitsuba 3 and Intel's denoiser; no other module imports them.

Needs `mitsuba`, `mitsuba-oidn` and a shared library of LLVM 16 or newer, which DRJIT_LIBLLVM_PATH
names where the system does not find it.
"""

import importlib.util
import os
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from training.rendering import camera
from training.rendering.scene import Mesh, Panorama, Scene, Texture, Transform

Native: TypeAlias = Any
"""One of Mitsuba's own objects."""

WEIGHTS = ("first", "second", "metal", "light")
"""Groups whose share of each pixel is kept; what is left is `own`."""


@dataclass(frozen=True)
class Rendered:
    """A rendered scene.

    Args:
        colour: linear light, denoised, float32 [H, W, 3] from 0.
        albedo: what share of light the seen surfaces send back, float32 [H, W, 3] in 0..1.
        weights: share of each pixel that each group of WEIGHTS covers, float32 [H, W, 4] in 0..1.
        shapes: number of the shape most seen in a pixel, uint8 [H, W]; 0 is the sky.
    """

    colour: npt.NDArray[np.float32]
    albedo: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float32]
    shapes: npt.NDArray[np.uint8]


def available() -> str | None:
    """None where scenes can be rendered, else what is missing."""
    for name in ("mitsuba", "mitsuba_oidn"):
        if importlib.util.find_spec(name) is None:
            return f"{name} is not installed"
    try:
        _mitsuba()
    except (ImportError, RuntimeError) as error:
        return str(error)
    return None


def _mitsuba() -> ModuleType:
    import mitsuba as mi

    if mi.variant() != "llvm_ad_rgb":
        mi.set_variant("llvm_ad_rgb")
    return mi


def set_threads(count: int) -> None:
    """How many threads the renderer and the denoiser use; before the first picture."""
    os.environ["OIDN_NUM_THREADS"] = str(count)
    os.environ["OIDN_SET_AFFINITY"] = "0"
    cv2.setNumThreads(count)
    _mitsuba()
    import drjit

    drjit.set_thread_count(count)


def _texture(mi: ModuleType, texture: Texture) -> dict[str, Any]:
    pixels = np.ascontiguousarray(texture.pixels, np.float32)
    out = {"type": "bitmap", "bitmap": mi.Bitmap(pixels), "raw": True, "wrap_mode": "mirror"}
    if texture.repeat != 1.0:
        out["to_uv"] = mi.ScalarTransform3f().scale([texture.repeat, texture.repeat])
    return out


def _mesh(mi: ModuleType, found: Mesh, bsdf: Native) -> Native:
    properties = mi.Properties()
    if bsdf is not None:
        properties["bsdf"] = mi.load_dict(bsdf)
    out = mi.Mesh(
        "mesh",
        len(found.corners),
        len(found.faces),
        props=properties,
        has_vertex_normals=True,
        has_vertex_texcoords=True,
    )
    parameters = mi.traverse(out)
    parameters["vertex_positions"] = np.ravel(found.corners)
    parameters["faces"] = np.ravel(found.faces)
    parameters["vertex_texcoords"] = np.ravel(found.uv)
    parameters.update()
    out.recompute_vertex_normals()
    return out


def _plain(mi: ModuleType, part: Native) -> Native:
    """A part in Mitsuba's own types."""
    if isinstance(part, Transform):
        return mi.ScalarTransform4f(part.matrix)
    if isinstance(part, Texture):
        return _texture(mi, part)
    if isinstance(part, Panorama):
        return mi.Bitmap(np.ascontiguousarray(part.pixels, np.float32))
    if isinstance(part, dict):
        return {k: _plain(mi, v) for k, v in part.items()}
    return part


def load(scene: Scene, size: int) -> tuple[Any, list[str]]:
    """The scene in Mitsuba, and its shapes' names in Mitsuba's order."""
    mi = _mitsuba()
    out: dict[str, Any] = {"type": "scene"}
    for name, part in scene.parts.items():
        plain = _plain(mi, part)
        if part.get("type") == "mesh":
            plain = _mesh(mi, part["mesh"], plain.get("bsdf"))
            plain.set_id(name)
        if name == "sensor":
            plain.update(camera.film(size, scene.samples))
        out[name] = plain
    loaded = mi.load_dict(out, optimize=False)  # else shapes of one material become one
    return loaded, [shape.id() for shape in loaded.shapes()]


def _coverage(
    mi: ModuleType, scene: Scene, loaded: Native, names: list[str], seed: int
) -> tuple[Any, Any]:
    """Group weights [H, W, 4] and the most seen shape's number, by the camera rays alone."""
    import drjit as dr

    handles = [int(h) for h in dr.reinterpret_array(mi.UInt32, loaded.shapes_dr())]
    table = np.zeros(max(handles) + 1, np.uint32)
    number = np.zeros(max(handles) + 1, np.uint32)
    order = sorted(names)
    for handle, name in zip(handles, names, strict=True):
        group = scene.groups.get(name, "light")
        table[handle] = WEIGHTS.index(group) if group in WEIGHTS else len(WEIGHTS)
        number[handle] = order.index(name) + 1
    sensor, film = loaded.sensors()[0], loaded.sensors()[0].film()
    width, height = film.crop_size()
    coloured = any(group in WEIGHTS[:3] for group in scene.groups.values())
    count = 48 if coloured else 8  # edges of what is recoloured must be smooth
    sampler = sensor.sampler().clone()
    sampler.seed(seed, width * height * count)
    at = dr.arange(mi.UInt32, width * height * count) // count
    spot = mi.Point2f(mi.Float(at % width), mi.Float(at // width)) + sampler.next_2d()
    ray, _ = sensor.sample_ray(0.0, 0.0, spot / mi.Vector2f(width, height), sampler.next_2d())
    hit = loaded.ray_intersect_preliminary(ray, coherent=True)
    handle = dr.reinterpret_array(mi.UInt32, hit.shape)
    known = dr.gather(mi.UInt32, mi.UInt32(table), handle, hit.is_valid())
    group = dr.select(hit.is_valid(), known, WEIGHTS.index("light"))
    seen = dr.gather(mi.UInt32, mi.UInt32(number), handle, hit.is_valid())
    groups = np.array(group).reshape(height, width, count)
    shapes = np.sort(np.array(seen).reshape(height, width, count), -1)[..., count // 2]
    weights = np.stack([(groups == k).mean(-1) for k in range(len(WEIGHTS))], -1)
    return weights.astype(np.float32), shapes.astype(np.uint8)


def render(scene: Scene, seed: int, size: int = 256) -> Rendered:
    """Render a scene.

    Args:
        scene: with a camera.
        seed: of the samples.
        size: of the picture's side, in pixels.
    """
    mi = _mitsuba()
    import mitsuba_oidn

    loaded, names = load(scene, size)
    path = {"type": "path", "max_depth": scene.depth, "rr_depth": 4}
    aovs = "albedo:albedo,normal:sh_normal"
    integrator = mi.load_dict({"type": "aov", "aovs": aovs, "picture": path})
    found = np.array(mi.render(loaded, integrator=integrator, seed=seed, spp=scene.samples))
    weights, shapes = _coverage(mi, scene, loaded, names, seed)
    noisy = np.nan_to_num(found[..., :3], nan=0.0, posinf=1e4, neginf=0.0)
    albedo = np.clip(np.nan_to_num(found[..., 3:6]), 0, 1)
    normal = np.nan_to_num(found[..., 6:9])
    arrays = [mi.TensorXf(np.ascontiguousarray(a)) for a in (noisy, albedo, normal)]
    clean = mitsuba_oidn.denoise(arrays[0], albedo=arrays[1], normal=arrays[2], hdr=True)
    return Rendered(np.maximum(np.array(clean), 0).astype(np.float32), albedo, weights, shapes)
