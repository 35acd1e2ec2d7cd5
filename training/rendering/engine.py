"""Renders a described scene with Mitsuba 3 and Intel's denoiser; no other module imports them.

Needs `mitsuba`, `mitsuba-oidn` and a shared library of LLVM 16 or newer, which DRJIT_LIBLLVM_PATH
names where the system does not find it.
"""

import importlib.util
import math
import os
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from training.rendering import camera
from training.rendering.scene import Mesh, Panorama, Plugin, Scene, Texture, Transform

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


def _opaque(mi: ModuleType, loaded: Native) -> None:
    """Take a scene's numbers out of its program, so that another scene may use it again."""
    import drjit as dr

    found = mi.traverse(loaded)
    for name in found.keys():  # noqa: SIM118  # a map of Mitsuba's own
        if dr.is_jit_v(found[name]):
            dr.make_opaque(found[name])


def _sensor(mi: ModuleType, sensor: Plugin, size: int) -> Native:
    """A camera in Mitsuba, for square pictures."""
    out = mi.load_dict({**_plain(mi, sensor), **camera.film(size)})
    _opaque(mi, out)
    return out


def load(scene: Scene) -> tuple[Any, list[str]]:
    """The scene in Mitsuba, without its camera, and its shapes' names in Mitsuba's order."""
    mi = _mitsuba()
    out: dict[str, Any] = {"type": "scene"}
    for name, part in scene.parts.items():
        if name == "sensor":
            continue
        plain = _plain(mi, part)
        if part.get("type") == "mesh":
            plain = _mesh(mi, part["mesh"], plain.get("bsdf"))
            plain.set_id(name)
        out[name] = plain
    loaded = mi.load_dict(out, optimize=False)  # else shapes of one material become one
    return loaded, [shape.id() for shape in loaded.shapes()]


def _tables(
    mi: ModuleType, scene: Scene, loaded: Native, names: list[str]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """The group of WEIGHTS and the number of a shape, each by its handle."""
    import drjit as dr

    handles = [int(h) for h in dr.reinterpret_array(mi.UInt32, loaded.shapes_dr())]
    group = np.full(max(handles) + 1, WEIGHTS.index("light"), np.uint8)  # handle 0 is the sky
    number = np.zeros(max(handles) + 1, np.uint8)
    order = sorted(names)
    for handle, name in zip(handles, names, strict=True):
        own = scene.groups.get(name, "light")
        group[handle] = WEIGHTS.index(own) if own in WEIGHTS else len(WEIGHTS)
        number[handle] = order.index(name) + 1
    return group, number


def grid(samples: int) -> tuple[int, int]:
    """Columns and rows into which a pixel is cut, one sample in each; about `samples` in all."""
    columns = max(1, round(math.sqrt(samples)))
    return columns, max(1, round(samples / columns))


def _rays(mi: ModuleType, sensor: Native, sampler: Native, size: int, samples: int) -> Native:
    """Rays of all pixels, one through each cell of the pixel's grid and of the lens's."""
    import drjit as dr

    columns, rows = grid(samples)
    count = columns * rows
    index = dr.arange(mi.UInt32, size * size * count)
    at = index // count
    cell = index - at * count
    step = next(n for n in range(max(2, columns + 1), 2 * count + 3) if math.gcd(n, count) == 1)
    far = (cell * step + mi.sample_tea_32(at, 7)[0]) % count  # other cells of the lens
    extent = mi.Vector2f(columns, rows)

    def inside(which: Native) -> Native:
        return (mi.Vector2f(which % columns, which // columns) + sampler.next_2d()) / extent

    spot = (mi.Point2f(at % size, at // size) + inside(cell)) / size
    return sensor.sample_ray_differential(0.0, 0.0, spot, mi.Point2f(inside(far)))[0]


def _look(
    mi: ModuleType, scene: Scene, loaded: Native, sensor: Native, seed: int, size: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint32]]:
    """All samples by one program, for it is the programs' making that costs most.

    Returns:
        Light, albedo and normal [H, W, 9], means of a pixel's samples; and the handle of the shape
        that each sample sees, [H, W, N].
    """
    import drjit as dr

    columns, rows = grid(scene.samples)
    path = mi.load_dict({"type": "path", "max_depth": scene.depth, "rr_depth": 4})
    sampler = mi.load_dict({"type": "independent"})
    sampler.seed(seed, size * size * columns * rows)
    ray = _rays(mi, sensor, sampler, size, scene.samples)
    hit = loaded.ray_intersect(ray, int(mi.RayFlags.All), True)
    there = hit.is_valid()
    albedo = dr.select(there, hit.bsdf().eval_diffuse_reflectance(hit), 0)
    normal = dr.select(there, hit.sh_frame.n, 0)
    shape = dr.select(there, dr.reinterpret_array(mi.UInt32, hit.shape), 0)
    light, _, _ = path.sample(loaded, sampler, ray)
    channels = [*light, *albedo, *normal]
    dr.eval(*channels, shape)
    shaped = (size, size, columns * rows)
    means = [np.nan_to_num(np.array(c).reshape(shaped)).mean(-1) for c in channels]
    return np.stack(means, -1).astype(np.float32), np.array(shape).reshape(shaped)


def _picture(
    mi: ModuleType, scene: Scene, loaded: Native, names: list[str], found: Native
) -> Rendered:
    """Samples without their noise, and what they show."""
    import mitsuba_oidn

    means, seen = found
    group, number = _tables(mi, scene, loaded, names)
    groups = group[seen]
    weights = np.stack([(groups == k).mean(-1) for k in range(len(WEIGHTS))], -1)
    shapes = np.sort(number[seen], -1)[..., seen.shape[-1] // 2]
    albedo = np.clip(means[..., 3:6], 0, 1)
    noisy = np.clip(means[..., :3], 0, 1e4)
    arrays = [mi.TensorXf(np.ascontiguousarray(a)) for a in (noisy, albedo, means[..., 6:9])]
    clean = mitsuba_oidn.denoise(arrays[0], albedo=arrays[1], normal=arrays[2], hdr=True)
    colour = np.maximum(np.array(clean), 0).astype(np.float32)
    return Rendered(colour, albedo, weights.astype(np.float32), shapes)


def render(scene: Scene, seed: int, size: int = 256) -> Rendered:
    """Render a scene.

    Args:
        scene: with a camera.
        seed: of the samples.
        size: of the picture's side, in pixels.
    """
    return render_views(scene, seed, 1, size)[0]


def render_views(scene: Scene, seed: int, count: int, size: int = 256) -> list[Rendered]:
    """Render a scene from several places; all but the first cost less than half of it.

    Args:
        scene: with a camera, which gives the first view; the others are near it.
        seed: of the samples and of the places.
        count: of views.
        size: of a picture's side, in pixels.
    """
    mi = _mitsuba()
    loaded, names = load(scene)
    _opaque(mi, loaded)
    out = []
    for view in range(count):
        sensor = _sensor(mi, camera.elsewhere(scene.parts["sensor"], seed, view), size)
        found = _look(mi, scene, loaded, sensor, seed * count + view, size)
        out.append(_picture(mi, scene, loaded, names, found))
    return out
