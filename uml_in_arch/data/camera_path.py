"""How a camera or a thing in front of it moves during an exposure, as small projective motions of the picture.

A motion is a float64 array (STEPS, 3, 3), one matrix ``G`` for each moment: at that moment the picture shows at the
pixel ``p = (x, y, 1)`` what the sharp picture has at ``(I + G) p``. This is the homography of a rotating, moving camera
to first order in its angles, so motions add up. What is subtracted from all matrices decides where in the motion the
sharp picture is: their mean pose, or one of the moments.
"""

from __future__ import annotations

import numpy as np

from uml_in_arch.data.trajectory import camera_shake

STEPS = 480  # moments of one motion, a quarter of a pixel apart where a path is 120 pixels long
WAVES = 3  # sines in a smooth path
MIN_FRAMES, MAX_FRAMES = 8, 96


def smooth_path(rng: np.random.Generator) -> np.ndarray:
    """A random smooth course of one quantity: a drift and three slow sines, (STEPS,), of range 1."""
    moments = np.linspace(0, 1, STEPS)
    path = rng.standard_normal() * moments
    for wave in range(1, WAVES + 1):
        path += 0.4 * rng.standard_normal() / wave**2 * np.sin(np.pi * (wave * moments + 2 * rng.random()))
    return path / max(np.ptp(path), 1e-9)


def shaken_path(rng: np.random.Generator, anxiety: float, exposure: float, unevenness: float) -> np.ndarray:
    """The translation of a hand-held camera: the exposed share of `camera_shake`, complex (STEPS,), largest side 1.

    `camera_shake` moves at constant speed; here the highest is ``exp(unevenness)`` times the lowest.
    """
    path = camera_shake(rng, anxiety)
    last = max(1, round(exposure * len(path)) - 1)
    way = np.cumsum(np.exp(unevenness * smooth_path(rng)))
    way = (way - way[0]) / (way[-1] - way[0])
    path = path[np.rint(way * last).astype(int)]
    return path / max(np.ptp(path.real), np.ptp(path.imag), 1e-9)


def motion(
    shift: np.ndarray,
    turn: np.ndarray,
    zoom: np.ndarray,
    tilt: np.ndarray,
    centre: tuple[float, float],
    radius: float,
) -> np.ndarray:
    """The motion of a picture from four courses, each in pixels at ``radius`` from ``centre``.

    Args:
        shift: Complex (STEPS,), ``x + iy``: translation.
        turn: (STEPS,): rotation about the optical axis, which meets the picture in ``centre``.
        zoom: (STEPS,): approach, which scales the picture about ``centre``.
        tilt: Complex (STEPS,), ``yaw + i pitch``: rotation about the other two axes less its translation, so the
            perspective alone.
        centre: x and y, in pixels.
        radius: Pixels.

    Returns:
        (STEPS, 3, 3), mean 0.
    """
    generators = np.zeros((STEPS, 3, 3))
    generators[:, 0, 0] = generators[:, 1, 1] = zoom / radius
    generators[:, 1, 0] = turn / radius
    generators[:, 0, 1] = -turn / radius
    generators[:, 0, 2], generators[:, 1, 2] = shift.real, shift.imag
    generators[:, 2, 0], generators[:, 2, 1] = tilt.real / radius**2, tilt.imag / radius**2
    generators -= generators.mean(axis=0)
    to_centre = translation(*centre)
    return to_centre @ generators @ np.linalg.inv(to_centre)


def scale_to(moving: np.ndarray, points: np.ndarray, extent: float) -> np.ndarray:
    """Scale a motion so that the longest of its streaks at ``points`` (n, 2) has ``extent`` pixels as largest side."""
    longest = np.ptp(displacements(moving, points), axis=0).max()
    return moving * (extent / max(longest, 1e-9))


def displacements(moving: np.ndarray, points: np.ndarray) -> np.ndarray:
    """How far each of ``points`` (n, 2), x and y in pixels, is from its place at each moment: (STEPS, n, 2)."""
    homogeneous = np.concatenate([points, np.ones((len(points), 1))], axis=1)
    moved = homogeneous @ moving.transpose(0, 2, 1)
    return moved[..., :2] - points * moved[..., 2:]


def frames_needed(lengths: list[float]) -> int:
    """How many frames leave about a pixel between neighbours, given each motion's `path_length`.

    Returns:
        1 where nothing moves, otherwise 8 to 96.
    """
    longest = max(lengths)
    return 1 if longest == 0 else int(np.clip(np.ceil(longest) + 1, MIN_FRAMES, MAX_FRAMES))


def path_length(moving: np.ndarray, points: np.ndarray) -> float:
    """The longest way that any of ``points`` (n, 2) goes, in pixels."""
    steps = np.diff(displacements(moving, points), axis=0)
    return float(np.hypot(steps[..., 0], steps[..., 1]).sum(axis=0).max())


def poses(moving: np.ndarray, frames: int) -> np.ndarray:
    """Homographies of evenly spread moments, (frames, 3, 3), whose mean is that of the whole motion."""
    if frames == 1:
        return np.eye(3)[None]
    chosen = moving[np.rint(np.linspace(0, STEPS - 1, frames)).astype(int)]
    return np.eye(3) + chosen - chosen.mean(axis=0) + moving.mean(axis=0)


def translation(x: float, y: float) -> np.ndarray:
    """The homography that adds (x, y)."""
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], dtype=np.float64)


def rectangle(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    """Its four corners, (4, 2): where a projective motion is largest."""
    return np.array([[left, top], [right, top], [left, bottom], [right, bottom]], dtype=np.float64)
