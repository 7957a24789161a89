from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest
from png_file import PictureError, encode_png, inspect_png


def image(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (13, 21, 3), dtype=np.uint8)


def test_encoded_png_is_lossless_and_described() -> None:
    data = encode_png(image())
    info = inspect_png(data, "a")
    assert info.shape == (13, 21, 3)
    assert info.level == 1
    np.testing.assert_array_equal(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED), image())


def test_every_truncation_and_every_flipped_bit_is_noticed() -> None:
    data = encode_png(image()[:4, :5])
    for length in range(len(data)):
        with pytest.raises(PictureError, match="^a.png: "):
            inspect_png(data[:length], "a.png")
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 1 << (position % 8)
        with pytest.raises(PictureError):
            inspect_png(bytes(damaged), "a.png")


@pytest.mark.parametrize(
    ("array", "kind"),
    [
        (np.zeros((4, 4, 3), np.uint16), "16 bits"),
        (np.zeros((4, 4), np.uint8), "grey"),
        (np.zeros((4, 4, 4), np.uint8), "alpha"),
    ],
)
def test_other_kinds_of_png_are_refused_by_name(array: np.ndarray, kind: str) -> None:
    data = cv2.imencode(".png", array)[1].tobytes()
    with pytest.raises(PictureError, match=f"a.png: it .*{kind}.*(convert|remove)"):
        inspect_png(data, "a.png")


def test_palette_png_is_refused() -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 3, 0, 0, 0)
    pixels = zlib.compress(b"\0\0")
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"PLTE", b"abc") + chunk(b"IDAT", pixels)
    with pytest.raises(PictureError, match="palette"):
        inspect_png(data + chunk(b"IEND", b""), "a.png")


def test_a_jpeg_is_not_a_png() -> None:
    with pytest.raises(PictureError, match="not a PNG; convert it"):
        inspect_png(cv2.imencode(".jpg", image())[1].tobytes(), "a.png")
