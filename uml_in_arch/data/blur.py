"""Motion blur for sharp pictures: random camera shake or given kernels, boundaries, saturation, noise, rounding."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal

import cv2
import numpy as np
import scipy.fft
from pydantic import ConfigDict

from uml_in_arch.data.kernels import centre_kernel, load_kernels
from uml_in_arch.data.light import TO_LIGHT, light_to_levels, picture_to_light, round_to_picture
from uml_in_arch.data.trajectory import trajectory_kernel
from uml_in_arch.errors import DataError, OptionError

# cv2.filter2D skips the zeros of a kernel, but only up to 11 x 11; benchmarks/blur_speed.py measures both numbers
TILE = 11
MAX_SPATIAL_TAPS = 150

BORDERS = {"reflect": cv2.BORDER_REFLECT_101, "replicate": cv2.BORDER_REPLICATE}


@dataclass(frozen=True, eq=False)
class MotionBlur:
    """What blur to apply. Every range is (lowest, highest), drawn uniformly for each picture; equal ends fix it.

    Blurring is correlation, as in Lai et al. 2016: ``blurry(y, x) = sum_ij kernel(i, j) * sharp(y + i - r, x + j - r)``
    with the kernel's middle ``r``.

    Attributes:
        kernel_size: Largest side, in pixels, of the random camera-shake kernels; odd. They are centred on their
            centroid, so the PSNR against the sharp picture is not spoilt by a shift.
        anxiety: How nervous the hand is (`uml_in_arch.data.trajectory.camera_shake`): 0 draws straight lines, 0.005
            is Boracchi and Foi's, 0.02 draws a tangle.
        exposure: Share of the camera's path during which the shutter is open, in (0, 1].
        kernels: Use these instead of random ones, each equally often: a file or folder for `load_kernels`, or arrays
            as it returns them. The three settings above then do nothing.
        centre_kernels: Move given kernels by whole pixels so that their centroid is in the middle.
        space: ``gamma`` blurs the 8-bit values as they are (as most data sets do), ``linear`` blurs light: values
            are decoded from and encoded to sRGB.
        boundary: What lies outside the picture: its mirror image (``reflect``) or its edge pixels (``replicate``).
        saturation: Light hidden by clipping: added to channels at 255 before blurring (1 = as much as white), so
            lamps leave bright streaks; the result is clipped again. After Rim et al., "Realistic blur synthesis
            for learning image deblurring", ECCV 2022, who draw it from 0.25 to 1.75.
        noise: Standard deviation of Gaussian noise on the blurry picture, in 8-bit levels.

    Raises:
        OptionError: A range that cannot be.
        DataError: ``kernels`` cannot be read; raised on first use.
    """

    kernel_size: tuple[int, int] = (9, 31)
    anxiety: tuple[float, float] = (0.0005, 0.005)
    exposure: tuple[float, float] = (0.5, 1.0)
    kernels: str | Path | tuple[np.ndarray, ...] | None = None
    centre_kernels: bool = True
    space: Literal["gamma", "linear"] = "gamma"
    boundary: Literal["reflect", "replicate"] = "reflect"
    saturation: tuple[float, float] = (0.0, 0.0)
    noise: tuple[float, float] = (0.0, 0.0)

    # read by pydantic where this class is part of an option model
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    def __post_init__(self) -> None:
        limits = {"kernel_size": (1, 501), "anxiety": (0, 1), "exposure": (0.01, 1), "saturation": (0, 100)}
        for name, (lowest, highest) in {**limits, "noise": (0, 255)}.items():
            low, high = getattr(self, name)
            if not lowest <= low <= high <= highest:
                raise OptionError(f"blur {name} is [{low}, {high}]: give [lowest, highest] within {lowest}..{highest}")
        if any(size % 2 == 0 for size in self.kernel_size):
            raise OptionError(f"blur kernel_size is {list(self.kernel_size)}: kernels have odd sides, such as [9, 31]")
        if isinstance(self.kernels, tuple) and not self.kernels:
            raise OptionError("blur kernels is empty: give kernels, or leave the key out to draw camera shakes")
        for name, value, known in (("space", self.space, TO_LIGHT), ("boundary", self.boundary, BORDERS)):
            if value not in known:
                raise OptionError(f"blur {name} is {value!r}: use one of {', '.join(known)}")

    @cached_property
    def given_kernels(self) -> list[np.ndarray]:
        """The kernels of ``kernels``, read once; empty where camera shakes are drawn."""
        if self.kernels is None:
            return []
        kernels = load_kernels(self.kernels) if isinstance(self.kernels, (str, Path)) else self.kernels
        return [centre_kernel(kernel) if self.centre_kernels else kernel for kernel in kernels]

    def apply(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Blur a picture with a newly drawn kernel.

        Args:
            image: uint8, (H, W, C), any order of channels.
            rng: Decides everything that is random; the same state gives the same pixels.

        Returns:
            uint8, the same shape.
        """
        return self.degrade(image, self.draw_kernel(rng), rng)

    def draw_kernel(self, rng: np.random.Generator) -> np.ndarray:
        """A random kernel: float32, odd sides, sum 1."""
        if self.kernels is not None:
            return self.given_kernels[rng.integers(len(self.given_kernels))]
        smallest, largest = self.kernel_size
        size = 2 * int(rng.integers(smallest // 2, largest // 2, endpoint=True)) + 1
        return trajectory_kernel(rng, size, rng.uniform(*self.anxiety), rng.uniform(*self.exposure))

    def degrade(self, image: np.ndarray, kernel: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Blur ``image`` (uint8, (H, W, C)) with ``kernel``, saturate, add noise, and round to 8 bits."""
        if image.dtype != np.uint8 or image.ndim != 3:
            raise DataError(f"Cannot blur an array of {image.dtype} and shape {image.shape}: give uint8, (H, W, C)")
        light = picture_to_light(image, self.space, rng.uniform(*self.saturation))
        levels = light_to_levels(correlate(light, kernel, self.boundary), self.space)
        noise_std = rng.uniform(*self.noise)
        if noise_std:
            levels += noise_std * rng.standard_normal(levels.shape, dtype=np.float32)
        return round_to_picture(levels)


def correlate(image: np.ndarray, kernel: np.ndarray, boundary: Literal["reflect", "replicate"]) -> np.ndarray:
    """Correlate every channel with a kernel, in space if few of its values are not 0, otherwise by FFT.

    Args:
        image: float32, (H, W, C).
        kernel: float32, odd sides.
        boundary: As in `MotionBlur`.

    Returns:
        float32, (H, W, C). The two ways differ by float32 rounding only.
    """
    rows, columns = (side // 2 for side in kernel.shape)
    padded = cv2.copyMakeBorder(image, rows, rows, columns, columns, BORDERS[boundary])
    padded = padded.reshape(*padded.shape[:2], image.shape[2])  # cv2 drops a single channel
    if np.count_nonzero(kernel) <= MAX_SPATIAL_TAPS:
        return correlate_spatial(padded, kernel)
    return correlate_fft(padded, kernel)


def correlate_spatial(padded: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Valid correlation, as a sum over the tiles of the kernel that are not empty."""
    height, width = (size - side + 1 for size, side in zip(padded.shape, kernel.shape, strict=False))
    total = np.zeros((height, width, padded.shape[2]), dtype=np.float32)
    for top in range(0, kernel.shape[0], TILE):
        for left in range(0, kernel.shape[1], TILE):
            tile = kernel[top : top + TILE, left : left + TILE]
            if tile.any():
                window = padded[top : top + height + tile.shape[0] - 1, left : left + width + tile.shape[1] - 1]
                filtered = cv2.filter2D(window, -1, tile, anchor=(0, 0))[:height, :width]
                total += filtered.reshape(total.shape)
    return total


def correlate_fft(padded: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Valid correlation through the Fourier transform."""
    sides = padded.shape[:2]
    lengths = [scipy.fft.next_fast_len(side, real=True) for side in sides]
    spectrum = scipy.fft.rfft2(np.ascontiguousarray(padded.transpose(2, 0, 1)), lengths)
    spectrum *= scipy.fft.rfft2(kernel, lengths).conj()
    height, width = (size - side + 1 for size, side in zip(sides, kernel.shape, strict=True))
    return scipy.fft.irfft2(spectrum, lengths)[:, :height, :width].transpose(1, 2, 0)
