"""Blurry and sharp pairs from sharp pictures, with the project's motion blur: the same pixels on any machine."""

from __future__ import annotations

import argparse
import hashlib
from dataclasses import dataclass, fields
from pathlib import Path

import cv2
import numpy as np
from lmdb_build import Record
from pictures import centre_crop
from png_file import PictureError, encode_png

from uml_in_arch.data.blur import MotionBlur
from uml_in_arch.data.seeding import rng_for


@dataclass(frozen=True)
class SyntheticBlur:
    """Motion blur that depends on nothing but the seed and a picture's key."""

    blur: MotionBlur
    seed: int

    def apply(self, key: str, image: np.ndarray) -> np.ndarray:
        """The blurry version of ``image`` (h, w, 3), BGR uint8."""
        return self.blur.apply(image, rng_for(self.seed, key))

    @property
    def settings(self) -> dict[str, str | int]:
        """What the result depends on, for `lmdb_build.Build.settings`."""
        checksum = hashlib.sha256(b"".join(kernel.tobytes() for kernel in self.blur.given_kernels)).hexdigest()
        values = {field.name: getattr(self.blur, field.name) for field in fields(self.blur) if field.name != "kernels"}
        return {"seed": self.seed, "kernels": checksum[:16], **{name: str(value) for name, value in values.items()}}


@dataclass(frozen=True)
class SquarePair:
    """Cut the square in the middle, reduce it, blur it.

    Attributes:
        crop: side of the square in pixels; 0 takes the shorter side of the picture.
        size: side of the result in pixels; a square that is smaller is refused, since enlarging adds no detail.
        blur: makes the blurry picture from the reduced one.
    """

    crop: int
    size: int
    blur: SyntheticBlur

    def __call__(self, key: str, name: str, image: np.ndarray) -> Record:
        """The record of a picture, (h, w, 3) BGR uint8, with ``name`` for errors."""
        short = min(image.shape[:2])
        side = self.crop or short
        if short < side or side < self.size:
            size, wanted = f"{image.shape[1]}x{image.shape[0]} pixels", max(side, self.size)
            raise PictureError(f"{name}: {size} are too few for a square of {wanted}: ask for a smaller one")
        square = centre_crop(image, side)
        if side > self.size:
            square = cv2.resize(square, (self.size, self.size), interpolation=cv2.INTER_AREA)
        return Record(key, (encode_png(self.blur.apply(key, square)), encode_png(square)))

    @property
    def settings(self) -> dict[str, str | int]:
        """What the result depends on, for `lmdb_build.Build.settings`."""
        return {"crop": self.crop, "size": self.size, **self.blur.settings}


def add_blur_arguments(parser: argparse.ArgumentParser, kernel_size: tuple[int, int]) -> None:
    """Add the options of the motion blur."""
    group = parser.add_argument_group("motion blur")
    group.add_argument("--seed", type=int, default=0, help="decides every kernel (default: %(default)s)")
    group.add_argument(
        "--kernel-size",
        type=int,
        nargs=2,
        default=kernel_size,
        metavar=("LOW", "HIGH"),
        help=f"sides of random kernels in pixels, odd (default: {kernel_size[0]} {kernel_size[1]})",
    )
    group.add_argument("--kernels", type=Path, help="take these kernels instead: .mat, .png, .npy or a folder of them")
    group.add_argument("--space", choices=("gamma", "linear"), default="gamma", help="blur 8-bit values, or light")
    group.add_argument(
        "--noise", type=float, nargs=2, default=(0.0, 0.0), metavar=("LOW", "HIGH"), help="noise in 8-bit levels"
    )
    group.add_argument(
        "--saturation",
        type=float,
        nargs=2,
        default=(0.0, 0.0),
        metavar=("LOW", "HIGH"),
        help="light added to white before blurring, 1 = as much as white",
    )


def synthetic_blur(arguments: argparse.Namespace) -> SyntheticBlur:
    """The blur that `add_blur_arguments`' options describe.

    Raises:
        UserError: a range that cannot be, or kernels that cannot be read.
    """
    blur = MotionBlur(
        kernel_size=tuple(arguments.kernel_size),
        kernels=arguments.kernels,
        space=arguments.space,
        noise=tuple(arguments.noise),
        saturation=tuple(arguments.saturation),
    )
    _ = blur.given_kernels  # read now: the workers receive them with the blur
    return SyntheticBlur(blur, arguments.seed)
