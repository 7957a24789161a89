"""Photographs as people have them: 8 or 16 bits, grey or colour, with transparency, on their side, with a profile."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from uml_in_arch.compare.cache import write_bytes
from uml_in_arch.deblur.jobs import JPEG_SUFFIXES
from uml_in_arch.errors import DataError
from uml_in_arch.picture_header import read_header

JPEG_QUALITY = 95
_ORIENTATION = 0x0112
# EXIF's orientation to (transposed, flipped upside down, flipped left to right), in this order
_UPRIGHT = {
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}
_MARKER = b"Exif\0\0"  # a JPEG has it before its EXIF data, a PNG has not
_LARGEST_EXIF = 65533  # of a JPEG


@dataclass(frozen=True)
class Photograph:
    """A picture as a viewer shows it, and what belongs to it.

    Attributes:
        colour: uint8 or uint16, (H, W, 3) RGB or (H, W, 1) grey.
        alpha: opacity, the same type, (H, W), or None.
        profile: ICC colour profile, or None.
        exif: EXIF data as in a JPEG, or None; they say that the picture is upright.
    """

    colour: np.ndarray
    alpha: np.ndarray | None
    profile: bytes | None
    exif: bytes | None


def read(path: Path) -> Photograph:
    """Read a file; of one with several pages, the first.

    Raises:
        DataError: It cannot be read, is damaged, or is no RGB or grey picture of 8 or 16 bits.
    """
    try:
        data = path.read_bytes()
        read_header(data)  # the checksums of a PNG
        image = Image.open(io.BytesIO(data))
        image.load()  # OpenCV would fill up what is missing of a file
    except DataError as reason:
        raise DataError(f"{path}: {reason}") from reason
    except UnidentifiedImageError as error:
        raise DataError(f"{path}: it is corrupt or of an unknown format; replace or convert it") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: it cannot be read ({reason}); replace or convert it") from error
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype not in (np.uint8, np.uint16) or image.mode in ("CMYK", "LAB"):
        raise DataError(f"{path}: it is no RGB or grey picture of 8 or 16 bits; convert it")
    orientation, exif = _exif(image)
    if image.format != "TIFF":  # OpenCV turns these itself
        pixels = _upright(pixels, orientation)
    colour, alpha = _split(pixels, image)
    if path.suffix.lower() in JPEG_SUFFIXES and (alpha is not None or colour.dtype != np.uint8):
        raise DataError(f"{path}: it is {image.format} in spite of its name; rename it")
    return Photograph(colour, alpha, image.info.get("icc_profile"), exif)


def write(path: Path, photograph: Photograph) -> None:
    """Write a JPEG or PNG, as the suffix says, whole or not at all; folders are made.

    Raises:
        DataError: It cannot be written.
    """
    colour, alpha = photograph.colour, photograph.alpha
    channels = colour if alpha is None else np.dstack([colour, alpha])
    if colour.dtype == np.uint8:
        content = _encode(channels, photograph, path.suffix.lower() in JPEG_SUFFIXES)
    else:
        content = _encode_deep(channels, photograph)
    write_bytes(path, content)


def _exif(image: Image.Image) -> tuple[int, bytes | None]:
    """The orientation, and the EXIF data to write; none of a TIFF, where they describe the file's inside too."""
    try:
        exif = image.getexif()
        orientation = exif.get(_ORIENTATION, 1)
        if _ORIENTATION in exif:
            exif[_ORIENTATION] = 1
        data = exif.tobytes() if exif and image.format != "TIFF" else None
    except Exception:  # Pillow raises all sorts of errors for what cameras and programs write there
        return 1, None
    return orientation, data if data and len(data) <= _LARGEST_EXIF else None


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    transposed, upside_down, mirrored = _UPRIGHT.get(orientation, (False, False, False))
    pixels = pixels.swapaxes(0, 1) if transposed else pixels
    pixels = pixels[::-1] if upside_down else pixels
    return pixels[:, ::-1] if mirrored else pixels


def _split(pixels: np.ndarray, image: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    """Colour and alpha from what OpenCV decodes: grey, BGR or BGRA, also for grey with transparency."""
    if pixels.ndim == 2:
        return pixels[..., None], None
    colour = pixels[..., :1] if image.mode == "LA" else pixels[..., 2::-1]
    # some BMPs have a fourth channel without a meaning
    has_alpha = pixels.shape[2] == 4 and image.has_transparency_data
    return colour, pixels[..., 3] if has_alpha else None


def _encode(channels: np.ndarray, photograph: Photograph, as_jpeg: bool) -> bytes:
    file = io.BytesIO()
    options = {"quality": JPEG_QUALITY, "subsampling": 0} if as_jpeg else {}
    Image.fromarray(np.ascontiguousarray(channels.squeeze(2) if channels.shape[2] == 1 else channels)).save(
        file,
        "JPEG" if as_jpeg else "PNG",
        icc_profile=photograph.profile,
        exif=photograph.exif or b"",
        **options,
    )
    return file.getvalue()


def _encode_deep(channels: np.ndarray, photograph: Photograph) -> bytes:
    """A PNG of 16 bits, which Pillow cannot write; OpenCV has no grey with transparency, it becomes colour."""
    order = {1: [0], 2: [0, 0, 0, 1], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[channels.shape[2]]
    known = {
        cv2.IMAGE_METADATA_EXIF: (photograph.exif or b"").removeprefix(_MARKER),
        cv2.IMAGE_METADATA_ICCP: photograph.profile,
    }
    present = {kind: np.frombuffer(data, np.uint8) for kind, data in known.items() if data}
    pixels = np.ascontiguousarray(channels[..., order])
    return cv2.imencodeWithMetadata(".png", pixels, [*present], [*present.values()])[1].tobytes()
