"""Surfaces as pictures in linear light: marble, wood, stone, linen, plaster, tiles, bricks.

Every function takes a generator and returns float32 [SIDE, SIDE, 3] in 0..1 unless it says
otherwise.
"""

import itertools

import cv2
import numpy as np

from training.rendering.scene import Array, Rng

SIDE = 1024
_AXIS = np.linspace(0, 1, SIDE, dtype=np.float32)


def noise(
    rng: Rng, across: float = 4, down: float | None = None, octaves: int = 5, keep: float = 0.5
) -> Array:
    """Smooth noise [SIDE, SIDE] stretched to 0..1, with so many blobs across and down."""
    out = np.zeros((SIDE, SIDE), np.float32)
    tall = across if down is None else down
    for octave in range(octaves):
        w, h = (min(SIDE, int(n * 2**octave) + 3) for n in (across, tall))
        patch = rng.standard_normal((h, w)).astype(np.float32)
        out += keep**octave * cv2.resize(patch, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    low, high = float(out.min()), float(out.max())
    return np.asarray((out - low) / (high - low), np.float32)


def _between(first: tuple[float, ...], last: tuple[float, ...], at: Array) -> Array:
    a, b = np.asarray(first, np.float32), np.asarray(last, np.float32)
    return np.asarray(np.clip(a + (b - a) * at[..., None], 0, 1), np.float32)


def veins(rng: Rng, across: float, width: float) -> Array:
    """Thin wandering lines, roughly one way: 1 on a line, 0 away from it, [SIDE, SIDE]."""
    turn = rng.uniform(0.3, 1.2) * rng.choice([-1, 1])
    along = np.cos(turn) * _AXIS[None] + np.sin(turn) * _AXIS[:, None]
    wander = rng.uniform(0.5, 0.9) * across * 0.35 * noise(rng, 3, octaves=6, keep=0.55)
    phase = np.asarray(along * across + wander, np.float32)
    slope = (
        np.hypot(cv2.Sobel(phase, cv2.CV_32F, 1, 0), cv2.Sobel(phase, cv2.CV_32F, 0, 1)) / 8 + 1e-5
    )
    distance = np.abs(phase % 1 - 0.5) / slope
    thick = width * (0.25 + 1.5 * noise(rng, 6, octaves=3) ** 2)
    return np.asarray(np.exp(-distance / thick), np.float32)


_MARBLES = {
    "white": ((0.84, 0.84, 0.83), (0.36, 0.37, 0.39), 0.8),
    "black": ((0.012, 0.012, 0.014), (0.66, 0.64, 0.60), 0.9),
    "green": ((0.03, 0.09, 0.065), (0.42, 0.52, 0.45), 0.7),
    "beige": ((0.66, 0.54, 0.42), (0.40, 0.28, 0.20), 0.6),
    "pink": ((0.74, 0.50, 0.46), (0.46, 0.26, 0.25), 0.6),
    "grey": ((0.27, 0.28, 0.29), (0.68, 0.68, 0.68), 0.6),
}


def marble(rng: Rng, sort: str = "white") -> Array:
    """Polished marble: white, black, green, beige, pink or grey."""
    base, line, strength = _MARBLES[sort]
    cloud = noise(rng, 3, octaves=6)
    fade = np.clip(noise(rng, 3, octaves=2) * 2.2 - 0.6, 0, 1)
    big = veins(rng, rng.uniform(4, 7), rng.uniform(3, 6)) * fade
    small = veins(rng, rng.uniform(8, 14), rng.uniform(1.5, 2.5)) * np.clip(
        noise(rng, 4, octaves=2) * 2 - 0.7, 0, 1
    )
    drift = (0.22 if sort != "black" else 0.03) * np.clip(cloud - 0.45, 0, 1)
    at = np.clip(strength * np.maximum(big, 0.7 * small) + drift, 0, 1)
    return _between(base, line, np.asarray(at, np.float32))


_WOODS = {
    "oak": (0.45, 0.28, 0.14),
    "walnut": (0.16, 0.08, 0.042),
    "pine": (0.62, 0.43, 0.24),
    "ash": (0.60, 0.50, 0.38),
    "grey": (0.30, 0.27, 0.24),
    "dark": (0.055, 0.032, 0.022),
}


def wood(rng: Rng, sort: str = "oak", planks: int | None = None) -> Array:
    """Planks along the picture's height; `planks` 1 gives one board without seams."""
    count = int(rng.integers(5, 9)) if planks is None else planks
    edges = np.linspace(0, SIDE, count + 1).astype(int)
    grain, tone = np.zeros((SIDE, SIDE), np.float32), np.ones((SIDE, SIDE), np.float32)
    for a, b in itertools.pairwise(edges):
        streaks = noise(rng, 60, 3, octaves=3, keep=0.6)
        bend = noise(rng, 2, 2, octaves=3)
        x = (
            np.linspace(-1, 1, SIDE, dtype=np.float32)[None]
            + 0.5 * (bend - 0.5)
            + rng.uniform(-0.4, 0.4)
        )
        rings = 0.5 + 0.5 * np.sin(np.sqrt(x**2 + 0.02) * rng.uniform(25, 50) + 3 * streaks)
        board = 0.55 * streaks + 0.45 * rings
        grain[:, a:b] = cv2.resize(board, (b - a, SIDE), interpolation=cv2.INTER_AREA)
        tone[:, a:b] = rng.uniform(0.8, 1.12) if count > 1 else 1.0
        if count > 1:
            seam = max(2, SIDE // 400)
            tone[:, a : a + seam] *= 0.25
    light = np.asarray(_WOODS[sort], np.float32)
    out = light * (0.5 + 0.62 * grain[..., None]) * tone[..., None]
    return np.asarray(np.clip(out, 0, 1), np.float32)


def concrete(rng: Rng, base: float = 0.34) -> Array:
    """Grey concrete with stains and pores."""
    at = 0.55 * noise(rng, 3, octaves=7, keep=0.6) + 0.45 * noise(rng, 40, octaves=3)
    out = base * (0.72 + 0.56 * at)
    out = out * (1 - 0.5 * (noise(rng, 120, octaves=2) > 0.82))
    return np.asarray(np.clip(out[..., None] * np.array([1.0, 0.985, 0.96]), 0, 1), np.float32)


def stone(rng: Rng, sort: str = "slate") -> Array:
    """Slate, travertine, granite or terrazzo."""
    fine = noise(rng, 60, octaves=4, keep=0.7)
    if sort == "slate":
        layers = noise(rng, 3, 9, octaves=6, keep=0.6)
        return _between(
            (0.035, 0.038, 0.042),
            (0.13, 0.135, 0.14),
            np.asarray(0.6 * layers + 0.4 * fine, np.float32),
        )
    if sort == "travertine":
        bands = noise(rng, 1.2, 14, octaves=5, keep=0.6)
        holes = (noise(rng, 18, 60, octaves=2) > 0.80) * 0.6
        at = np.clip(0.75 * bands + 0.25 * fine - holes * 0.4, 0, 1)
        return _between((0.50, 0.38, 0.27), (0.76, 0.66, 0.53), np.asarray(at, np.float32))
    if sort == "granite":
        speck = (noise(rng, 150, octaves=2) > 0.6) * 0.5 + (noise(rng, 90, octaves=2) > 0.66) * 0.5
        return _between(
            (0.42, 0.41, 0.40),
            (0.06, 0.06, 0.065),
            np.asarray(0.25 * fine + speck * 0.6, np.float32),
        )
    out = np.full((SIDE, SIDE, 3), (0.70, 0.68, 0.64), np.float32)
    tones = ((0.42, 0.22, 0.15), (0.20, 0.22, 0.24), (0.55, 0.42, 0.30), (0.34, 0.40, 0.36))
    for _ in range(900):
        centre = rng.uniform(0, SIDE, 2)
        turn = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(4, 7))))
        radius = rng.uniform(4, 17)
        corners = centre + radius * np.stack([np.cos(turn), np.sin(turn)], -1)
        cv2.fillPoly(
            out, [corners.astype(np.int32)], tones[int(rng.integers(len(tones)))], cv2.LINE_AA
        )
    return np.asarray(out * (0.92 + 0.12 * fine[..., None]), np.float32)


def weave(rng: Rng, threads: int = 90) -> Array:
    """Linen's height and tone [SIDE, SIDE] in 0..1: threads over and under, of uneven thickness."""
    bend = 0.6 * (noise(rng, 8, octaves=2) - 0.5)
    u, v = np.meshgrid(_AXIS * threads * np.pi, _AXIS * threads * np.pi)
    over = np.sin(u + bend) * np.sin(v + bend)
    along, down = noise(rng, 4, threads * 2, octaves=2), noise(rng, threads * 2, 4, octaves=2)
    out = 0.5 + 0.22 * over + 0.35 * (along - 0.5) + 0.35 * (down - 0.5)
    return np.asarray(np.clip(out, 0, 1), np.float32)


def plaster(rng: Rng) -> Array:
    """A trowelled wall's height [SIDE, SIDE] in 0..1."""
    out = noise(rng, 9, 16, octaves=5, keep=0.6) * 0.6 + noise(rng, 40, octaves=4) * 0.4
    return np.asarray(out, np.float32)


def tiles(
    rng: Rng, colour: tuple[float, float, float], columns: int, rows: int, shift: bool = False
) -> Array:
    """Glazed wall tiles with pale joints; `shift` sets every other row off by half a tile."""
    y = _AXIS[:, None] * rows
    x = _AXIS[None, :] * columns + (0.5 * (np.floor(y) % 2) if shift else 0.0 * y)
    fx, fy = np.abs(x % 1 - 0.5), np.abs(y % 1 - 0.5)
    joint = np.maximum((fx - 0.5) * SIDE / columns, (fy - 0.5) * SIDE / rows) > -3.0
    shade = rng.uniform(0.86, 1.1, (rows + 1, columns + 2)).astype(np.float32)
    each = shade[
        np.floor(y).astype(int).clip(0, rows), np.floor(x).astype(int).clip(0, columns + 1)
    ]
    out = np.asarray(colour, np.float32) * each[..., None]
    return np.asarray(
        np.where(joint[..., None], np.float32(0.62), np.clip(out, 0, 0.9)), np.float32
    )


def bricks(rng: Rng, sort: str = "red") -> Array:
    """A wall of bricks: red, or painted white."""
    colour = (0.30, 0.105, 0.06) if sort == "red" else (0.74, 0.73, 0.71)
    rows, columns = 26, 10
    y = _AXIS[:, None] * rows + 0.06 * noise(rng, 9)
    x = _AXIS[None, :] * columns + 0.5 * (np.floor(y) % 2) + 0.03 * noise(rng, 9)
    joint = np.maximum(np.abs(x % 1 - 0.5) - 0.465, (np.abs(y % 1 - 0.5) - 0.42) * 0.4) > 0
    shade = rng.uniform(0.62, 1.15, (rows + 2, columns + 2)).astype(np.float32)
    each = shade[
        np.floor(y).astype(int).clip(0, rows + 1), np.floor(x).astype(int).clip(0, columns + 1)
    ]
    rough = 0.7 + 0.6 * noise(rng, 60, octaves=3)
    body = (
        np.asarray(colour, np.float32)
        * ((each if sort == "red" else 0.9 + 0.1 * each) * rough)[..., None]
    )
    mortar = np.float32(0.42 if sort == "red" else 0.55) * rough[..., None]
    return np.asarray(np.clip(np.where(joint[..., None], mortar, body), 0, 1), np.float32)
