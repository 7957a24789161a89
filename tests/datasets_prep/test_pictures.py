from __future__ import annotations

import cv2
import numpy as np
import pytest
from pictures import decode_image, make_key
from png_file import PictureError
from tiles import tile_starts


@pytest.mark.parametrize(
    ("size", "tile", "step", "expected"),
    [(1280, 512, 256, [0, 256, 512, 768]), (720, 512, 256, [0, 208]), (512, 512, 256, [0]), (10, 4, 3, [0, 3, 6])],
)
def test_tiles_cover_the_picture_to_its_border(size: int, tile: int, step: int, expected: list[int]) -> None:
    starts = tile_starts(size, tile, step)
    assert starts == expected
    covered = np.zeros(size, bool)
    for start in starts:
        covered[start : start + tile] = True
    assert covered.all()


def test_keys_survive_basicsr() -> None:
    assert make_key("my face.v2 é") == "my_face_v2__"


def test_truncated_jpeg_is_noticed_whole_one_is_read() -> None:
    data = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8))[1].tobytes()
    assert decode_image(data, "a.jpg").shape == (32, 32, 3)
    for cut in (data[:-2], data[: len(data) // 2], b"", b"text"):
        with pytest.raises(PictureError, match="^a.jpg: "):
            decode_image(cut, "a.jpg")


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 4)])
def test_grey_and_alpha_are_converted_only_on_request(shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    data = cv2.imencode(".png", array)[1].tobytes()
    with pytest.raises(PictureError, match="^a.png: it "):
        decode_image(data, "a.png")
    image = decode_image(data, "a.png", any_colour=True)
    np.testing.assert_array_equal(image, array[..., :3] if len(shape) == 3 else np.repeat(array[..., None], 3, 2))


def test_16_bit_is_always_refused() -> None:
    data = cv2.imencode(".png", np.zeros((4, 4, 3), np.uint16))[1].tobytes()
    with pytest.raises(PictureError, match="16 bits"):
        decode_image(data, "a.png", any_colour=True)
