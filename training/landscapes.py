"""Procedural landscapes: sea, sand, snow, woods, meadows, night cities and skies.

Every function takes a generator and returns an image.
"""

import numpy as np

from training import canvas
from training.canvas import SIZE, Colour, Field, Image, Rng, X, Y
from training.studio_sets import lights


def sky(rng: Rng, top: Colour, bottom: Colour, horizon: float, cloud: float = 0.6) -> Image:
    """A gradient sky with soft clouds; `cloud` is how opaque they can be."""
    image = canvas.ramp(top, bottom, Y / horizon)
    tile = canvas.noise(rng, 3, 4)
    puff = canvas.edge(tile - rng.uniform(0.52, 0.72), 0.07) * rng.uniform(0.2, 1.0) * cloud
    return canvas.mix(image, canvas.lighter(bottom, 0.6), np.asarray(puff, np.float32))


def _ridge(rng: Rng, level: float, height: float, cells: int = 3) -> Field:
    line = canvas.noise(rng, cells, 4)[SIZE // 2]
    return np.broadcast_to(level - height * (line[None, :] - 0.5), (SIZE, SIZE)).astype(np.float32)


def beach(rng: Rng) -> Image:
    """A sunny beach: sky, turquoise sea, foam, sand."""
    horizon = rng.uniform(0.32, 0.46)
    image = sky(rng, (0.36, 0.66, 0.94), (0.80, 0.92, 0.99), horizon)
    shore = rng.uniform(0.58, 0.70)
    shore = (
        shore
        + 0.05 * np.sin(X * rng.uniform(3, 8) + rng.uniform(0, 6))
        + rng.uniform(-0.1, 0.1) * (X - 0.5)
    )
    deep, shallow = (
        canvas.jitter(rng, (0.08, 0.45, 0.66), 0.05),
        canvas.jitter(rng, (0.35, 0.80, 0.80), 0.05),
    )
    waves = canvas.lay(canvas.noise(rng, 8, 3), canvas.floor_map(rng, horizon, 1.6))
    sea = (
        canvas.ramp(deep, shallow, (Y - horizon) / (shore - horizon))
        + 0.1 * (waves - 0.5)[..., None]
    )
    image = canvas.mix(image, sea.astype(np.float32), canvas.edge(Y - horizon, 0.004))
    grains = canvas.lay(canvas.noise(rng, 8, 4), canvas.floor_map(rng, horizon))
    sand = canvas.shade(
        canvas.jitter(rng, (0.92, 0.82, 0.64), 0.03), np.asarray(0.9 + 0.16 * grains, np.float32)
    )
    gap = np.asarray(Y - shore, np.float32)
    damp = sand * (1 - 0.18 * np.exp(-np.maximum(gap, 0) / 0.05))[..., None]
    image = canvas.mix(image, damp.astype(np.float32), canvas.edge(gap, 0.006))
    foam = np.exp(-(((gap + 0.008) / 0.016) ** 2)) * rng.uniform(0.5, 0.9)
    image = canvas.mix(image, (0.98, 0.99, 1.0), np.asarray(foam, np.float32))
    return np.clip(
        canvas.depth_blur(image, rng.uniform(1, 3), rng.uniform(0.6, 1.5), horizon), 0, 1
    )


def snow(rng: Rng) -> Image:
    """Snowy hills with a few firs, pale sky, sometimes falling flakes."""
    image = sky(rng, (0.62, 0.76, 0.90), (0.88, 0.92, 0.97), 0.6, 0.5)
    for level, tone in ((0.52, (0.78, 0.85, 0.93)), (0.62, (0.93, 0.95, 0.99))):
        ridge = _ridge(rng, level + rng.uniform(-0.05, 0.05), 0.16)
        for _ in range(int(rng.integers(3, 9))):
            cx, high, wide = rng.random(), rng.uniform(0.10, 0.26), rng.uniform(0.025, 0.05)
            foot = float(ridge[0, min(int(cx * SIZE), SIZE - 1)]) + 0.01
            inside = wide * np.clip((Y - foot + high) / high, 0, 1) - np.abs(X - cx)
            fir = canvas.edge(np.asarray(inside - 0.012, np.float32), 0.004) * (foot + 0.02 > Y)
            image = canvas.mix(image, canvas.jitter(rng, (0.26, 0.38, 0.38), 0.05), fir * 0.85)
        ground = canvas.shade(tone, np.asarray(1.03 - 0.12 * canvas.noise(rng, 4, 4), np.float32))
        image = canvas.mix(image, ground, canvas.edge(np.asarray(Y - ridge, np.float32), 0.006))
    image = canvas.blur(image, rng.uniform(1.0, 2.5))
    if rng.random() < 0.5:
        image = lights(rng, image, ((1.0, 1.0, 1.0),), (10, 30))
    return np.clip(image, 0, 1)


def sunset_sea(rng: Rng) -> Image:
    """The sun going down over the sea."""
    horizon = rng.uniform(0.48, 0.62)
    top: Colour = canvas.jitter(rng, (0.36, 0.22, 0.46), 0.06)
    low: Colour = canvas.jitter(rng, (0.98, 0.56, 0.26), 0.06)
    image = canvas.ramp(top, low, np.asarray((Y / horizon) ** 1.4, np.float32))
    bands = canvas.noise(rng, 4, 3)[:64].repeat(4, axis=0)
    image = canvas.mix(
        image, (0.95, 0.45, 0.42), canvas.edge(bands - 0.6, 0.08) * rng.uniform(0.0, 0.5)
    )
    cx, cy = rng.uniform(0.2, 0.8), horizon - rng.uniform(0.0, 0.14)
    image = image + canvas.spot(cx, cy, 0.28)[..., None] * np.array([0.35, 0.2, 0.02])
    image = canvas.mix(
        image.astype(np.float32), (1.0, 0.93, 0.68), canvas.disc(cx, cy, rng.uniform(0.035, 0.06))
    )
    waves = canvas.lay(canvas.noise(rng, 12, 3), canvas.floor_map(rng, horizon, 2.0))
    path = np.exp(-(((X - cx) / (0.06 + 0.3 * np.maximum(Y - horizon, 0))) ** 2)) * (
        0.25 + 0.9 * waves
    )
    sea = canvas.ramp((0.62, 0.36, 0.34), (0.20, 0.14, 0.28), (Y - horizon) / (1 - horizon))
    sea = sea * (0.8 + 0.4 * waves)[..., None] + path[..., None] * np.array([0.75, 0.48, 0.2])
    image = canvas.mix(
        image, np.clip(sea, 0, 1).astype(np.float32), canvas.edge(Y - horizon, 0.004)
    )
    return np.clip(canvas.blur(image, rng.uniform(0.8, 2.0)), 0, 1)


def dunes(rng: Rng) -> Image:
    """Desert dunes under a clear sky."""
    image = sky(rng, (0.42, 0.66, 0.90), (0.93, 0.88, 0.78), 0.55, 0.2)
    for k in range(4):
        level = 0.44 + 0.13 * k + rng.uniform(-0.03, 0.03)
        ridge = _ridge(rng, level, 0.16, 2)
        light = 0.72 + 0.09 * k + 0.12 * canvas.noise(rng, 3, 3)
        lee = canvas.edge(np.asarray(canvas.noise(rng, 2, 2) - 0.55, np.float32), 0.05) * 0.22
        sand = canvas.shade(
            canvas.jitter(rng, (0.93, 0.68, 0.42), 0.02), np.asarray(light - lee, np.float32)
        )
        image = canvas.mix(image, sand, canvas.edge(np.asarray(Y - ridge, np.float32), 0.005))
    return np.clip(canvas.depth_blur(image, 2.5, 1.0, 0.5), 0, 1)


def woods(rng: Rng, autumn: bool = False) -> Image:
    """A wood out of focus: leaves as discs of light, trunks, a path of grass or fallen leaves."""
    deep, bright = (
        ((0.35, 0.16, 0.05), (0.90, 0.55, 0.18))
        if autumn
        else ((0.05, 0.17, 0.06), (0.42, 0.62, 0.22))
    )
    field = canvas.noise(rng, 5, 4) * (1.1 - 0.5 * Y)
    image = canvas.blur(canvas.ramp(deep, bright, np.asarray(field, np.float32)), 3)
    for _ in range(int(rng.integers(5, 11))):
        cx, wide = rng.random(), rng.uniform(0.008, 0.035)
        lean = rng.uniform(-0.06, 0.06)
        trunk = canvas.edge(
            np.asarray(wide - np.abs(X - cx - lean * (Y - 0.5)), np.float32), wide * 0.35
        )
        tone = canvas.jitter(rng, (0.17, 0.13, 0.09), 0.05)
        image = canvas.mix(
            image, tone, trunk * canvas.edge(0.74 - Y, 0.02) * rng.uniform(0.6, 0.95)
        )
    leaf: tuple[Colour, ...] = (
        ((0.98, 0.72, 0.25), (0.92, 0.42, 0.12), (1.0, 0.85, 0.5))
        if autumn
        else ((0.55, 0.75, 0.3), (0.8, 0.9, 0.5), (0.3, 0.55, 0.2))
    )
    image = lights(rng, image, leaf, (8, 26))
    sun = canvas.spot(rng.uniform(0.1, 0.9), rng.uniform(0.0, 0.25), rng.uniform(0.2, 0.4))
    image = image + sun[..., None] * np.array([0.5, 0.5, 0.28]) * rng.uniform(0.2, 0.9)
    horizon = rng.uniform(0.64, 0.76)
    grain = canvas.lay(canvas.noise(rng, 8, 4), canvas.floor_map(rng, horizon))
    low, high = (
        ((0.38, 0.19, 0.07), (0.80, 0.46, 0.16))
        if autumn
        else ((0.12, 0.22, 0.07), (0.40, 0.50, 0.20))
    )
    image = canvas.mix(
        image.astype(np.float32), canvas.ramp(low, high, grain), canvas.edge(Y - horizon, 0.02)
    )
    return np.clip(canvas.depth_blur(image, rng.uniform(2, 4), rng.uniform(1, 2), horizon), 0, 1)


def meadow(rng: Rng) -> Image:
    """Green grass under a blue sky, hills behind."""
    horizon = rng.uniform(0.44, 0.6)
    image = sky(rng, (0.36, 0.62, 0.93), (0.82, 0.92, 0.98), horizon, 0.9)
    hill = np.asarray(Y - _ridge(rng, horizon - 0.02, 0.12), np.float32)
    image = canvas.mix(
        image, canvas.jitter(rng, (0.30, 0.50, 0.28), 0.05), canvas.edge(hill, 0.008)
    )
    blades = canvas.lay(canvas.noise(rng, 10, 4), canvas.floor_map(rng, horizon, 1.2))
    grass = canvas.ramp((0.20, 0.42, 0.10), (0.56, 0.74, 0.26), blades)
    image = canvas.mix(image, grass, canvas.edge(Y - horizon - 0.03, 0.008))
    return np.clip(
        canvas.depth_blur(image, rng.uniform(1.5, 3), rng.uniform(0.8, 1.6), horizon), 0, 1
    )


def garden(rng: Rng) -> Image:
    """Flowers out of focus before green leaves."""
    field = canvas.noise(rng, 6, 4)
    image = canvas.blur(canvas.ramp((0.14, 0.32, 0.12), (0.58, 0.76, 0.36), field), 3)
    kinds = (
        (0.96, 0.50, 0.64),
        (0.99, 0.80, 0.86),
        (0.85, 0.25, 0.40),
        (0.99, 0.90, 0.55),
        (0.75, 0.55, 0.90),
    )
    first, second = (kinds[int(i)] for i in rng.integers(len(kinds), size=2))
    for _ in range(int(rng.integers(14, 30))):
        centre, radius = (float(rng.random()), float(rng.random())), rng.uniform(0.03, 0.07)
        tone = canvas.jitter(rng, first if rng.random() < 0.6 else second, 0.06)
        canvas.stamp(image, tone, centre, radius, 0.012, rng.uniform(0.6, 0.95))
        canvas.stamp(image, (0.98, 0.85, 0.45), centre, radius * 0.3, 0.01, 0.6)
    return np.clip(canvas.blur(image, rng.uniform(1.5, 3.5)), 0, 1)


def night_city(rng: Rng) -> Image:
    """City lights at night, out of focus, over a wet street."""
    horizon = rng.uniform(0.6, 0.72)
    image = canvas.ramp((0.03, 0.04, 0.12), (0.14, 0.12, 0.24), Y / horizon)
    for _ in range(int(rng.integers(6, 12))):
        cx, wide, high = rng.random(), rng.uniform(0.03, 0.08), rng.uniform(0.15, 0.5)
        house = canvas.edge(np.asarray(wide - np.abs(X - cx), np.float32), 0.006) * canvas.edge(
            Y - horizon + high, 0.006
        )
        image = canvas.mix(image, canvas.jitter(rng, (0.08, 0.09, 0.17), 0.04), house)
    warm: tuple[Colour, ...] = (
        (1.0, 0.72, 0.32),
        (0.45, 0.62, 1.0),
        (1.0, 0.34, 0.42),
        (1.0, 0.93, 0.78),
    )
    image = lights(rng, canvas.blur(image, 2), warm, (16, 34))
    mirror = np.ascontiguousarray(np.roll(image[::-1], int((2 * horizon - 1) * SIZE), axis=0))
    wet = canvas.blur(mirror, 6) * 0.6
    return np.clip(canvas.mix(image, wet, canvas.edge(Y - horizon, 0.01)), 0, 1)


def space(rng: Rng) -> Image:
    """Stars and a nebula."""
    cloud, other = canvas.noise(rng, 3, 5), canvas.noise(rng, 3, 5)
    image = canvas.ramp((0.02, 0.02, 0.06), canvas.jitter(rng, (0.38, 0.16, 0.55), 0.12), cloud**2)
    image = np.asarray(image + (other**3)[..., None] * np.array([0.10, 0.25, 0.50]), np.float32)
    for _ in range(int(rng.integers(30, 70))):
        centre = (float(rng.random()), float(rng.random()))
        canvas.stamp(
            image,
            (1.0, 0.98, 0.95),
            centre,
            rng.uniform(0.002, 0.007),
            0.003,
            rng.uniform(0.4, 1.0),
        )
    return np.clip(canvas.blur(image, 0.8), 0, 1)


def water(rng: Rng) -> Image:
    """Clear blue water with light playing on it."""
    warp = canvas.noise(rng, 4, 3)
    net = np.abs(
        np.sin((X + 0.5 * warp) * rng.uniform(14, 20))
        + np.sin((Y * 1.6 + 0.5 * warp.T) * rng.uniform(14, 20))
    )
    light = np.asarray(np.exp(-net * 3.0), np.float32)
    deep = canvas.jitter(rng, (0.12, 0.52, 0.74), 0.05)
    image = canvas.ramp(canvas.lighter(deep, 0.3), deep, np.asarray(0.3 + 0.7 * Y, np.float32))
    image = image * (0.85 + 0.3 * warp)[..., None] + 0.35 * light[..., None]
    return np.clip(canvas.blur(image.astype(np.float32), rng.uniform(1.2, 2.2)), 0, 1)
