"""Procedural studio sets: paper, tables, podiums, lights, silk, concrete, sunlit walls.

Every set takes a generator and the colours it is asked for and returns an image.
"""

import cv2
import numpy as np

from training import canvas
from training.canvas import SIZE, Colour, Field, Image, Rng, X, Y

WOODS: tuple[Colour, ...] = ((0.55, 0.36, 0.20), (0.70, 0.50, 0.31), (0.36, 0.23, 0.14))


def wall(rng: Rng, colour: Colour) -> Image:
    """An evenly painted wall under one soft light."""
    light = canvas.spot(rng.uniform(0.2, 0.8), rng.uniform(0.1, 0.45), rng.uniform(0.5, 0.9))
    base = 0.80 + rng.uniform(0.16, 0.30) * light
    return np.clip(
        canvas.shade(colour, np.asarray(base, np.float32)) + 0.05 * light[..., None], 0, 1
    )


def paper(rng: Rng, colour: Colour) -> Image:
    """Seamless paper: a wall that sweeps into the floor without a corner."""
    image = wall(rng, colour)
    at = rng.uniform(0.58, 0.74)
    floor = canvas.edge(Y - at, rng.uniform(0.03, 0.09))
    image = canvas.mix(image, np.clip(image * rng.uniform(0.86, 1.1) + 0.03, 0, 1), floor)
    fold = np.asarray(np.exp(-(((Y - at) / rng.uniform(0.05, 0.1)) ** 2)), np.float32)
    return canvas.vignette(
        rng, np.clip(image * (1 - rng.uniform(0.02, 0.09) * fold)[..., None], 0, 1)
    )


def _table(rng: Rng, top: Image, back: Image, horizon: float) -> Image:
    mask = canvas.edge(Y - horizon, rng.uniform(0.002, 0.008))
    image = canvas.mix(back, top, mask)
    line = np.exp(-(((Y - horizon) / 0.015) ** 2)) * rng.uniform(0.05, 0.2)
    glow = canvas.spot(rng.uniform(0.3, 0.7), horizon + 0.2, 0.4) * rng.uniform(0.0, 0.12)
    lit = image * (1 - line)[..., None] + (glow * mask)[..., None]
    return np.asarray(np.clip(lit, 0, 1), np.float32)


def wood_table(rng: Rng, colour: Colour) -> Image:
    """A table of planks before a wall of the given colour."""
    horizon = rng.uniform(0.56, 0.72)
    grain = canvas.noise(rng, 3, 5)
    stretched = cv2.resize(canvas.noise(rng, 10, 4)[:24], (SIZE, SIZE))
    streaks = np.ascontiguousarray(stretched.T, np.float32)
    tone = WOODS[int(rng.integers(len(WOODS)))]
    coordinates = canvas.floor_map(rng, horizon, rng.uniform(0.8, 1.2))
    planks = np.abs(((coordinates[0] / SIZE * rng.uniform(3, 5)) % 1.0) - 0.5) * 2
    light = 0.72 + 0.34 * canvas.lay(streaks, coordinates) + 0.16 * canvas.lay(grain, coordinates)
    light = light - 0.25 * canvas.edge(np.asarray(planks - 0.97, np.float32), 0.008)
    top = canvas.shade(canvas.jitter(rng, tone, 0.03), np.asarray(light, np.float32))
    top = canvas.depth_blur(np.clip(top, 0, 1), 2.0, 0.9, horizon)
    return _table(rng, top, canvas.blur(wall(rng, colour), 2), horizon)


def marble_table(rng: Rng, colour: Colour, black: bool) -> Image:
    """A slab of white or black marble before a wall of the given colour."""
    horizon = rng.uniform(0.54, 0.72)
    cloud = canvas.noise(rng, 3, 5)
    warp = canvas.noise(rng, 4, 3) * rng.uniform(0.5, 1.0)
    phase = np.abs(
        np.sin((X * 1.3 + Y * 0.9 + warp * 1.3 + cloud * 0.5) * np.pi * rng.uniform(1.6, 2.8))
    )
    fade = canvas.edge(canvas.noise(rng, 3, 2) - rng.uniform(0.4, 0.55), 0.08)
    veins = np.asarray((1 - phase) ** 5 * fade + 0.25 * (1 - phase) * fade, np.float32)
    coordinates = canvas.floor_map(rng, horizon, rng.uniform(0.5, 0.8))
    vein, mist = canvas.lay(veins, coordinates), canvas.lay(cloud, coordinates)
    if black:
        top = canvas.shade(
            (1.0, 0.98, 0.96), np.asarray(0.07 + 0.48 * vein + 0.07 * mist, np.float32)
        )
    else:
        top = canvas.shade(
            (0.97, 0.97, 0.98), np.asarray(0.98 - 0.36 * vein - 0.08 * mist, np.float32)
        )
    top = canvas.depth_blur(np.clip(top, 0, 1).astype(np.float32), 2.0, 1.0, horizon)
    return _table(rng, top, canvas.blur(wall(rng, colour), 2), horizon)


def lights(
    rng: Rng, back: Image, colours: tuple[Colour, ...], count: tuple[int, int] = (10, 26)
) -> Image:
    """Out-of-focus lights over a background, fewer toward the bottom."""
    image = np.array(back, np.float32)
    size = rng.uniform(0.03, 0.07)
    for _ in range(int(rng.integers(*count))):
        centre = (float(rng.random()), float(rng.random()) ** 1.2 * 0.78)
        radius, rim = size * rng.uniform(0.6, 1.4), rng.uniform(0.006, 0.014)
        colour = colours[int(rng.integers(len(colours)))]
        canvas.stamp(image, colour, centre, radius, rim, rng.uniform(0.2, 0.6))
    return np.clip(image, 0, 1)


def perfume(rng: Rng, colour: Colour) -> Image:
    """A glowing set for perfume: soft lights, a satin sheen and a mirrored table top."""
    sparks = ((1.0, 0.93, 0.75), (1.0, 0.85, 0.80), (1.0, 1.0, 0.95))
    deep, pale = canvas.lighter(colour, rng.uniform(-0.5, -0.2)), canvas.lighter(colour, 0.15)
    glow = canvas.spot(rng.uniform(0.25, 0.75), rng.uniform(0.2, 0.5), rng.uniform(0.35, 0.6))
    back = canvas.ramp(deep, pale, np.asarray(glow * rng.uniform(0.8, 1.0), np.float32))
    tinted = (*sparks, canvas.lighter(colour, 0.5))
    image = lights(rng, lights(rng, back, tinted), sparks, (3, 9))
    horizon = rng.uniform(0.66, 0.78)
    mirror = image[::-1]
    shift = int((2 * horizon - 1) * SIZE)
    mirror = canvas.blur(np.ascontiguousarray(np.roll(mirror, shift, axis=0)), 4) * 0.88
    image = canvas.mix(image, mirror, canvas.edge(Y - horizon, 0.008))
    return np.clip(canvas.vignette(rng, image, 0.5), 0, 1)


def cosmetics(rng: Rng, colour: Colour) -> Image:
    """A pastel set for cosmetics: a round arch, a low plinth and petals of light."""
    pale = canvas.lighter(colour, 0.35)
    image = wall(rng, pale)
    cx, radius = rng.uniform(0.35, 0.65), rng.uniform(0.24, 0.36)
    arch = canvas.disc(cx, rng.uniform(0.34, 0.46), radius, 0.004)
    image = canvas.mix(image, wall(rng, canvas.lighter(colour, -0.08)), arch)
    horizon = rng.uniform(0.68, 0.78)
    floor = wall(rng, canvas.lighter(pale, 0.15))
    image = canvas.mix(image, floor, canvas.edge(Y - horizon, 0.006))
    for _ in range(int(rng.integers(3, 8))):
        glow = canvas.spot(rng.random(), rng.random() * 0.7, rng.uniform(0.04, 0.1))
        image = image + rng.uniform(0.06, 0.2) * glow[..., None]
    return np.clip(canvas.blur(image.astype(np.float32), 1.0), 0, 1)


def podium(rng: Rng, colour: Colour) -> Image:
    """A round podium in the wall's colour."""
    image = paper(rng, colour) * 0.94
    cx, top = rng.uniform(0.42, 0.58), rng.uniform(0.60, 0.70)
    steps = int(rng.integers(1, 3))
    for step in range(steps, 0, -1):
        wide, high = rng.uniform(0.26, 0.32) + 0.1 * (step - 1), top + 0.07 * (step - 1)
        squash = 0.25
        lid = canvas.edge(
            np.asarray(wide - np.sqrt((X - cx) ** 2 + ((Y - high) / squash) ** 2), np.float32),
            0.005,
        )
        inside = canvas.edge(np.asarray(wide - np.abs(X - cx), np.float32), 0.004)
        height = 0.12 if step == 1 else 0.4
        low = high + height + squash * np.sqrt(np.maximum(wide**2 - (X - cx) ** 2, 0))
        body = (
            inside
            * canvas.edge(Y - high, 0.003)
            * canvas.edge(np.asarray(low - Y, np.float32), 0.003)
        )
        side = 0.42 + 0.36 * np.sqrt(np.maximum(1 - ((X - cx + 0.3 * wide) / (1.4 * wide)) ** 2, 0))
        image = canvas.mix(image, canvas.shade(colour, np.asarray(side, np.float32)), body)
        image = canvas.mix(image, canvas.lighter(colour, 0.35), lid)
    return np.clip(canvas.blur(image, 1.0), 0, 1)


def silk(rng: Rng, colour: Colour) -> Image:
    """Folds of satin."""
    warp = canvas.noise(rng, 2, 2)
    turn = rng.uniform(-0.9, 0.9)
    folds = np.sin((X * np.cos(turn) + Y * np.sin(turn) + 0.7 * warp) * rng.uniform(7, 12))
    softer = np.sin((X - Y * turn + warp) * rng.uniform(3, 6))
    light = np.asarray(0.68 + 0.24 * folds + 0.12 * softer, np.float32)
    gloss = np.maximum(folds - 0.7, 0) * 0.5
    return np.clip(
        canvas.blur(canvas.shade(colour, light) + gloss[..., None].astype(np.float32), 2.5), 0, 1
    )


def concrete(rng: Rng) -> Image:
    """A grey concrete or plaster wall and floor."""
    horizon = rng.uniform(0.62, 0.76)
    stain = canvas.noise(rng, 4, 6)
    grey = rng.uniform(0.5, 0.68)
    light = canvas.spot(rng.uniform(0.2, 0.8), rng.uniform(0.1, 0.4), 0.7)
    field = grey * (0.78 + 0.28 * stain) * (0.8 + 0.3 * light)
    back = canvas.shade((1.0, 0.99, 0.97), np.asarray(field, np.float32))
    top = canvas.lay(stain, canvas.floor_map(rng, horizon))
    floor = canvas.shade((1.0, 0.99, 0.97), np.asarray(grey * (0.7 + 0.3 * top), np.float32))
    return _table(rng, canvas.blur(floor, 1.2), canvas.blur(back, 1.6), horizon)


def window_light(rng: Rng, colour: Colour) -> Image:
    """A wall with the light of a window, and sometimes leaves' shadows, falling on it."""
    image = wall(rng, colour) * 0.66
    slant, cx, cy = rng.uniform(-0.5, 0.5), rng.uniform(0.35, 0.6), rng.uniform(0.3, 0.42)
    u, v = (X - cx) - slant * (Y - cy), (Y - cy) + 0.25 * slant * (X - cx)
    panes: Field = np.zeros((SIZE, SIZE), np.float32)
    width, height = rng.uniform(0.2, 0.26), rng.uniform(0.22, 0.28)
    for i in (-0.5, 0.5):
        for j in (-0.5, 0.5):
            du = np.abs(u - i * (width * 1.2)) - width / 2
            dv = np.abs(v - j * (height * 1.15)) - height / 2
            panes = np.maximum(
                panes, canvas.edge(np.asarray(-np.maximum(du, dv), np.float32), 0.008)
            )
    if rng.random() < 0.5:
        leaves = canvas.edge(canvas.noise(rng, 7, 3) - rng.uniform(0.5, 0.6), 0.05)
        panes = panes * (1 - 0.8 * leaves)
    light = canvas.blur(panes, rng.uniform(1.5, 4))
    lit = image * (1 + 0.6 * light[..., None]) + 0.08 * light[..., None] * np.array([1, 0.93, 0.8])
    horizon = rng.uniform(0.74, 0.84)
    floor = canvas.edge(Y - horizon, 0.006)
    return np.clip(canvas.mix(lit.astype(np.float32), (lit * 0.9).astype(np.float32), floor), 0, 1)


def festive(rng: Rng) -> Image:
    """Christmas: fir branches out of focus, golden and red lights, a table below."""
    green = canvas.noise(rng, 9, 4)
    back = canvas.ramp((0.03, 0.13, 0.08), (0.12, 0.32, 0.18), green)
    image = lights(
        rng, canvas.blur(back, 4), ((1.0, 0.8, 0.35), (0.95, 0.2, 0.18), (1.0, 0.92, 0.7))
    )
    horizon = rng.uniform(0.7, 0.78)
    floor = canvas.shade(
        (0.45, 0.2, 0.14), np.asarray(0.7 + 0.4 * canvas.noise(rng, 3, 3), np.float32)
    )
    return np.clip(_table(rng, canvas.blur(floor, 3), image, horizon), 0, 1)


def kitchen(rng: Rng) -> Image:
    """A bright kitchen out of focus behind a counter: tiles, a shelf, a window."""
    horizon = rng.uniform(0.62, 0.74)
    base = canvas.jitter(rng, (0.80, 0.80, 0.77), 0.05)
    size = rng.uniform(0.06, 0.09)
    grout = np.minimum(np.abs((X / (2 * size)) % 1 - 0.5), np.abs((Y / size) % 1 - 0.5) * 0.5)
    image = canvas.shade(base, np.asarray(0.97 - 0.12 * (grout < 0.03), np.float32))
    at = rng.uniform(0.2, 0.3)
    shelf = canvas.edge(0.014 - np.abs(Y - at), 0.004)
    image = canvas.mix(image, canvas.jitter(rng, (0.6, 0.42, 0.26), 0.05), shelf)
    for _ in range(int(rng.integers(4, 8))):
        cx, w, h = rng.random(), rng.uniform(0.02, 0.055), rng.uniform(0.06, 0.15)
        box = np.maximum(np.abs(X - cx) - w, np.abs(Y - (at - h / 2 - 0.014)) - h / 2)
        tint = canvas.jitter(rng, (0.65, 0.55, 0.42), 0.25)
        image = canvas.mix(image, tint, canvas.edge(np.asarray(-box, np.float32), 0.004))
    window = canvas.spot(rng.choice([0.0, 1.0]), 0.3, rng.uniform(0.3, 0.45))
    image = np.clip(image + 0.22 * window[..., None], 0, 1).astype(np.float32)
    tone = (0.90, 0.89, 0.87) if rng.random() < 0.35 else WOODS[1]
    top = canvas.shade(tone, np.asarray(0.9 + 0.12 * canvas.noise(rng, 3, 3), np.float32))
    return np.clip(
        _table(rng, canvas.blur(top, 1.5), canvas.blur(image, rng.uniform(2.5, 4.5)), horizon), 0, 1
    )
