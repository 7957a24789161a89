"""Random camera shake: the path of a hand-held camera during an exposure, drawn as a blur kernel.

Source of the model: G. Boracchi and A. Foi, "Modeling the performance of image restoration from motion blur",
IEEE Transactions on Image Processing 21(8), 2012. DeblurGAN trains on it too.
"""

from __future__ import annotations

import numpy as np

# The constants below are the model's.
SAMPLES = 2000  # positions along one path
PATH_LENGTH = 60.0  # pixels; the pull towards the start depends on this unit, so the path is scaled afterwards
MAX_PULL = 0.7
MAX_TREMOR = 10.0
MAX_SHAKE_RATE = 0.2


def camera_shake(rng: np.random.Generator, anxiety: float) -> np.ndarray:
    """The positions of a camera that starts at 0 and moves at constant speed, as a Markov process.

    At every step three things turn the camera: Gaussian tremor, a pull back to the start that grows with the
    distance, and, rarely, a shake that throws it into about the opposite direction. Each path draws its own
    strengths: pull uniform in [0, 0.7], tremor in [0, 10], shakes in [0, 0.2] of the steps, all times ``anxiety``.

    Args:
        rng: The source of randomness.
        anxiety: How nervous the hand is, 0 (a straight line) or more. Boracchi and Foi use 0.005; 0.02 draws
            a tangle.

    Returns:
        2000 complex positions, ``x + iy``, in pixels, for a path 60 pixels long.
    """
    pull = anxiety * MAX_PULL * rng.random()
    tremor_strength = anxiety * MAX_TREMOR * rng.random()
    shake_rate = anxiety * MAX_SHAKE_RATE * rng.random()
    heading = complex(np.exp(2j * np.pi * rng.random()))

    steps = SAMPLES - 1
    tremor = tremor_strength * (rng.standard_normal(steps) + 1j * rng.standard_normal(steps))
    shaken = rng.random(steps) < shake_rate
    # twice the opposite direction, so that the sum with the present one points backwards; within half a radian
    shake = np.where(shaken, 2 * np.exp(1j * (np.pi + rng.random(steps) - 0.5)), 0)

    step_length = PATH_LENGTH / steps
    position = 0j
    path = [position]
    for tremble, throw in zip(tremor.tolist(), shake.tolist(), strict=True):
        heading += heading * throw + tremble - pull * position
        heading /= abs(heading)
        position += heading * step_length
        path.append(position)
    return np.array(path)


def trajectory_kernel(rng: np.random.Generator, size: int, anxiety: float, exposure: float) -> np.ndarray:
    """A blur kernel of at most ``size`` x ``size`` pixels: what a point becomes under a random camera shake.

    Unlike in the source the path is scaled, so that ``size`` alone says how large the blur is: the whole path, and
    the exposed part of it, fit into the kernel when centred on their own centroids.

    Args:
        rng: The source of randomness.
        size: Largest side, odd.
        anxiety: See `camera_shake`.
        exposure: The share of the path, in (0, 1], during which the shutter is open.

    Returns:
        float32, square with an odd side, non-negative, sum 1, centroid in the middle (to float precision).
    """
    path = camera_shake(rng, anxiety)
    exposed = path[: max(1, round(exposure * len(path)))]
    reach = max(_reach(path), _reach(exposed))
    return _draw((exposed - exposed.mean()) * ((size // 2) / reach))


def _reach(path: np.ndarray) -> float:
    offsets = path - path.mean()
    return float(max(np.abs(offsets.real).max(), np.abs(offsets.imag).max()))


def _draw(path: np.ndarray) -> np.ndarray:
    """Spread every position over its four nearest pixels, bilinearly, which keeps the centroid where it is."""
    radius = int(np.ceil(max(np.abs(path.real).max(), np.abs(path.imag).max()) - 1e-9))
    side = 2 * radius + 1
    column, row = path.real + radius, path.imag + radius
    left = np.clip(np.floor(column).astype(int), 0, side - 1)
    top = np.clip(np.floor(row).astype(int), 0, side - 1)
    right_share, bottom_share = column - left, row - top
    right, bottom = np.minimum(left + 1, side - 1), np.minimum(top + 1, side - 1)
    pixels = np.concatenate([top * side + left, top * side + right, bottom * side + left, bottom * side + right])
    shares = np.concatenate(
        [
            (1 - bottom_share) * (1 - right_share),
            (1 - bottom_share) * right_share,
            bottom_share * (1 - right_share),
            bottom_share * right_share,
        ]
    )
    kernel = np.bincount(pixels, weights=shares, minlength=side * side) / len(path)
    return kernel.reshape(side, side).astype(np.float32)
