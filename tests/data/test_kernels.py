from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.io

from uml_in_arch.data.kernels import centre_kernel, kernel_centroid, load_kernels
from uml_in_arch.errors import DataError

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="no shared data here")


def random_kernel(*shape: int) -> np.ndarray:
    kernel = np.random.default_rng(sum(shape)).random(shape)
    return kernel / kernel.sum()


def cells(kernels: list[np.ndarray]) -> np.ndarray:
    array = np.empty((1, len(kernels)), dtype=object)
    for index, kernel in enumerate(kernels):
        array[0, index] = kernel
    return array


def save_mat73(path: Path, kernels: list[np.ndarray]) -> None:
    """What MATLAB writes: arrays transposed, cells as references, a 512-byte header in front."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w", userblock_size=512) as file:
        references = [file.create_dataset(f"#refs#/{name}", data=k.T).ref for name, k in zip("abcdef", kernels)]  # noqa: B905
        file.create_dataset("kernels", data=np.array(references, dtype=object)[:, None], dtype=h5py.ref_dtype)
    header = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    with path.open("r+b") as file:
        file.write(header)


SAVERS: dict[str, Callable[[Path, list[np.ndarray]], None]] = {
    "cells.mat": lambda path, kernels: scipy.io.savemat(path, {"kernels": cells(kernels), "note": "a text"}),
    "v73.mat": save_mat73,
    "stack.mat": lambda path, kernels: scipy.io.savemat(path, {"anything": np.stack(kernels, axis=2)}),
    "stack.npy": lambda path, kernels: np.save(path, np.stack(kernels)),
}


@pytest.mark.parametrize("name", SAVERS)
def test_several_kernels_in_a_file(tmp_path: Path, name: str) -> None:
    kernels = [random_kernel(7, 9), random_kernel(9, 7).T.copy(), np.eye(7, 9) / 7]
    SAVERS[name](tmp_path / name, kernels)
    loaded = load_kernels(tmp_path / name)
    assert len(loaded) == 3
    for kernel, original in zip(loaded, kernels, strict=True):
        assert kernel.dtype == np.float32
        assert np.allclose(kernel, original, atol=1e-6)


def test_one_kernel_in_a_mat_file_with_other_variables(tmp_path: Path) -> None:
    kernel = random_kernel(5, 5)
    scipy.io.savemat(tmp_path / "scene.mat", {"x": np.zeros((40, 40)), "y": np.zeros((40, 40)), "f": kernel})
    assert np.allclose(load_kernels(tmp_path / "scene.mat")[0], kernel, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(("dtype", "top"), [(np.uint8, 255), (np.uint16, 65535)])
def test_picture(tmp_path: Path, channels: int, dtype: type, top: int) -> None:
    kernel = random_kernel(9, 11)
    picture = np.repeat(np.rint(kernel / kernel.max() * top).astype(dtype)[..., None], channels, axis=2)
    if channels == 4:
        picture[..., 3] = top
    cv2.imwrite(str(tmp_path / "k.png"), picture)
    assert np.allclose(load_kernels(tmp_path / "k.png")[0], kernel, atol=1e-4)


def test_folder_in_order_of_names(tmp_path: Path) -> None:
    for name, side in (("b.npy", 5), ("a.npy", 3), ("c.npy", 7)):
        np.save(tmp_path / name, random_kernel(side, side))
    (tmp_path / "readme.txt").write_text("not a kernel")
    assert [kernel.shape[0] for kernel in load_kernels(tmp_path)] == [3, 5, 7]


def test_even_sides_become_odd_and_keep_the_middle(tmp_path: Path) -> None:
    kernel = np.zeros((4, 6))
    kernel[2, 3] = 5
    np.save(tmp_path / "k.npy", kernel)
    loaded = load_kernels(tmp_path / "k.npy")[0]
    assert loaded.shape == (5, 7)
    assert loaded[2, 3] == 1


def write(name: str, content: bytes) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return build


def save(name: str, array: np.ndarray) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        np.save(folder / name, array, allow_pickle=True)
        return folder / name

    return build


def save_mat(variables: dict[str, object]) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        scipy.io.savemat(folder / "k.mat", variables)
        return folder / "k.mat"

    return build


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda folder: folder, "No kernels in"),
        (lambda folder: folder / "missing.png", "No kernel file or folder"),
        (write("k.gif", b"GIF89a"), "use .mat, .npy or .png"),
        (write("k.png", b""), "not a readable picture"),
        (write("k.png", b"\x89PNG broken"), "not a readable picture"),
        (write("k.npy", b"nonsense"), "not a readable .npy"),
        (write("k.npy", b""), "not a readable .npy"),
        (write("k.mat", b"nonsense"), "not a readable MATLAB file"),
        (write("k.mat", b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"), "not a readable MATLAB file"),
        (save("k.npy", np.array([{"a": 1}], dtype=object)), "not a readable .npy"),
        (save("k.npy", np.full((3, 3), 1j)), "real numbers"),
        (save("k.npy", np.zeros((3, 3))), "without light"),
        (save("k.npy", np.full((3, 3), np.nan)), "not numbers"),
        (save("k.npy", np.array([[1.0, -0.5, 1.0]])), "negative"),
        (save("k.npy", np.ones(5)), "2-D"),
        (save("k.npy", np.ones((720, 1280))), "2-D"),
        (save_mat({"x": np.ones((3, 3)), "y": np.ones((3, 3))}), "x, y"),
        (save_mat({"kernels": "text"}), "no matrix"),
    ],
)
def test_what_is_not_a_kernel(tmp_path: Path, build: Callable[[Path], Path], message: str) -> None:
    with pytest.raises(DataError, match=message) as error:
        load_kernels(build(tmp_path))
    assert "\n" not in str(error.value)


def test_matlab_73_without_h5py_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_mat73(tmp_path / "k.mat", [random_kernel(3, 3)])
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(DataError, match="pip install h5py"):
        load_kernels(tmp_path / "k.mat")


def test_centring_moves_by_whole_pixels_and_keeps_all_light() -> None:
    kernel = np.zeros((9, 7), dtype=np.float32)
    kernel[0, 6], kernel[1, 6], kernel[2, 5] = 0.5, 0.25, 0.25
    centred = centre_kernel(kernel)
    assert max(map(abs, kernel_centroid(centred))) <= 0.5
    assert all(side % 2 == 1 for side in centred.shape)
    assert sorted(centred[centred > 0]) == sorted(kernel[kernel > 0])
    assert np.array_equal(centre_kernel(centred), centred)


@needs_shared
def test_real_matlab_files_agree_with_real_pictures() -> None:
    from_matlab = load_kernels(SHARED / "kernels" / "Levin09.mat")
    pictures = [load_kernels(SHARED / "levin2009" / "kernels" / f"kernel{number}.png")[0] for number in range(1, 9)]
    for number, (kernel, picture) in enumerate(zip(from_matlab, pictures, strict=True), start=1):
        if number in (4, 8):  # these two pictures were published rotated by 180 degrees
            kernel = kernel[::-1, ::-1]  # noqa: PLW2901
        assert np.abs(kernel - picture).max() < 0.01 * picture.max()


@needs_shared
def test_real_matlab_5_file() -> None:
    kernels = load_kernels(SHARED / "kernels" / "kernels_12.mat")
    assert [kernel.shape for kernel in kernels] == [(25, 25)] * 12
