"""What an encoded picture says of itself, without decoding it: size, depth, colour; and whether the file is whole."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass

from PIL import Image, UnidentifiedImageError

from uml_in_arch.errors import DataError

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_KINDS = {0: "grey", 2: "colour", 3: "palette", 4: "alpha", 6: "alpha"}
_PIL_KINDS = {"L": "grey", "1": "grey", "RGB": "colour", "P": "palette", "LA": "alpha", "RGBA": "alpha", "PA": "alpha"}
_REFUSED = {
    "palette": "it has a palette; convert it to RGB",
    "alpha": "it has an alpha channel; remove that",
    "grey": "it is grey where 3 channels are expected; convert it to RGB, or set 'color: y' for grey training",
}


@dataclass(frozen=True)
class PictureHeader:
    """Height and width in pixels, bits per channel, and ``grey``, ``colour``, ``palette`` or ``alpha``."""

    height: int
    width: int
    bits: int
    kind: str


def read_header(data: bytes) -> PictureHeader:
    """The header of a picture file.

    The checksums of a PNG are verified, so one that is cut or damaged anywhere is noticed.

    Raises:
        DataError: It is damaged or not a picture. The message is the reason only.
    """
    if data.startswith(_SIGNATURE):
        return _read_png(memoryview(data))
    try:
        with Image.open(io.BytesIO(data)) as picture:
            kind = _PIL_KINDS.get(picture.mode)
            bits = 8 if kind else 16
            return PictureHeader(picture.height, picture.width, bits, kind or picture.mode)
    except (UnidentifiedImageError, OSError, ValueError) as error:
        raise DataError("it is corrupt or not a picture; replace it") from error


def refuse_unusable(header: PictureHeader, grey_allowed: bool) -> None:
    """Raise DataError, with the reason only, unless the picture is 8-bit colour (or grey, where that is allowed)."""
    if header.bits > 8:
        raise DataError(f"it has {header.bits} bits per channel; convert it to 8 bits")
    if header.kind in _REFUSED and not (header.kind == "grey" and grey_allowed):
        raise DataError(_REFUSED[header.kind])


def _read_png(data: memoryview) -> PictureHeader:
    header = None
    position = len(_SIGNATURE)
    while position + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if end > len(data):
            break
        if zlib.crc32(data[position + 4 : end - 4]) != struct.unpack_from(">I", data, end - 4)[0]:
            raise DataError("it is corrupt (a checksum of the PNG is wrong); replace it")
        if name == b"IHDR" and length == 13:
            width, height, bits, colour = struct.unpack_from(">IIBB", data, position + 8)
            header = PictureHeader(height, width, bits, _PNG_KINDS.get(colour, "unknown"))
        if name == b"IEND" and header is not None:
            return header
        position = end
    raise DataError("it is corrupt (the PNG is cut off); replace it")
