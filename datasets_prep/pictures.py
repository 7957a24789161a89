"""Reading and cutting pictures, with errors that name the file."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
from png_file import PictureError

from uml_in_arch.errors import DataError
from uml_in_arch.picture_header import read_header, refuse_unusable

PICTURE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


def read_file(path: Path) -> bytes:
    """Read a whole file.

    Raises:
        PictureError: the file cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise PictureError(f"{path}: cannot be read ({error.strerror})") from error


def decode_image(data: bytes, name: str, any_colour: bool = False) -> np.ndarray:
    """Decode any picture that OpenCV reads to BGR uint8 of shape (h, w, 3).

    A PNG must be whole (its checksums are verified) and a JPEG must have its end, since OpenCV decodes half a file
    without an error. A bit flipped inside a JPEG cannot be noticed.

    Args:
        data: the encoded picture.
        name: what to call it in errors.
        any_colour: repeat a grey channel, drop an alpha channel and look up a palette instead of refusing those.

    Raises:
        PictureError: the picture is damaged or not of a kind that can be used.
    """
    try:
        header = read_header(data)
        if not any_colour or header.bits > 8:
            refuse_unusable(header, grey_allowed=False)
    except DataError as reason:
        raise PictureError(f"{name}: {reason}") from reason
    if data[:2] == b"\xff\xd8" and data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda"):  # no end after the last scan
        raise PictureError(f"{name}: it is corrupt (the JPEG is cut off); replace it")
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise PictureError(f"{name}: it cannot be decoded; replace it")
    return image


def centre_crop(image: np.ndarray, side: int) -> np.ndarray:
    """The square of ``side`` pixels in the middle of an image of shape (h, w, c)."""
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    return image[top : top + side, left : left + side]


def make_key(name: str) -> str:
    """A key that BasicSR can read, from a file name without its suffix.

    BasicSR cuts a line of meta_info.txt at its first dot and encodes keys as ASCII, so everything but letters, digits,
    underscore and minus becomes an underscore.
    """
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)
