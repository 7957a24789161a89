"""Blur kernels from files: MATLAB (.mat, v5 and v7.3), pictures (.png), NumPy (.npy), or a folder of those."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import scipy.io

from uml_in_arch.errors import DataError

if TYPE_CHECKING:
    import h5py

SUFFIXES = (".mat", ".npy", ".png")
MATLAB_NAMES = ("kernels", "kernel", "psf", "f", "k", "h")
MATLAB_V73 = 2
MAX_SIDE = 501  # nothing larger is a kernel; a photograph taken for one would take hours


def load_kernels(path: str | Path) -> list[np.ndarray]:
    """All kernels of a file, or of the .mat, .npy and .png files of a folder in the order of their names.

    A picture holds one kernel (its channels are averaged, alpha is ignored). A .npy file holds one (H, W) or several
    (N, H, W). In a .mat file the variable is called kernels, kernel, psf, f, k or h, or is the only one, and holds a
    matrix, a stack (H, W, N) or a cell array of matrices.

    Returns:
        float32 kernels with odd sides, non-negative, each of sum 1. An even side gets a row or column of zeros at its
        end, so the middle of a side n stays at n // 2. Kernels stay off-centre if they are (see `centre_kernel`).

    Raises:
        DataError: Nothing is there, a file cannot be read, or what it holds is not a kernel.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
        if not files:
            raise DataError(f"No kernels in {path}: put .mat, .npy or .png files there")
        return [kernel for file in files for kernel in load_kernels(file)]
    if not path.is_file():
        raise DataError(f"No kernel file or folder at {path}: correct the path")
    readers = {".mat": _read_mat, ".npy": _read_npy, ".png": _read_png}
    if path.suffix.lower() not in readers:
        raise DataError(f"{path} is not a kernel file: use .mat, .npy or .png")
    return [_normalised(array, path) for array in readers[path.suffix.lower()](path)]


def kernel_centroid(kernel: np.ndarray) -> tuple[float, float]:
    """How far, in pixels (down, right), the centroid of a kernel lies from its middle (side // 2)."""
    rows, columns = np.indices(kernel.shape)
    total = kernel.sum(dtype=np.float64)
    height, width = kernel.shape
    return float((kernel * rows).sum() / total - height // 2), float((kernel * columns).sum() / total - width // 2)


def centre_kernel(kernel: np.ndarray) -> np.ndarray:
    """The kernel moved by whole pixels so that its centroid is within half a pixel of the middle.

    Sides grow by zeros as needed and stay odd; nothing is interpolated or cut off.
    """
    down, right = (round(offset) for offset in kernel_centroid(kernel))
    return np.pad(kernel, [(max(0, -2 * move), max(0, 2 * move)) for move in (down, right)])


def _normalised(array: np.ndarray, path: Path) -> np.ndarray:
    kernel = np.asarray(array, dtype=np.float64)
    if kernel.ndim != 2 or max(kernel.shape) > MAX_SIDE:
        raise DataError(f"{path} holds an array of shape {kernel.shape}: a kernel is 2-D, at most {MAX_SIDE} a side")
    if not np.isfinite(kernel).all() or kernel.max() <= 0:
        raise DataError(f"{path} holds a kernel without light or with values that are not numbers: export it again")
    if kernel.min() < -1e-3 * kernel.max():
        raise DataError(f"{path} holds a kernel with negative values: blur only adds light, clip it at 0")
    kernel = np.pad(kernel.clip(min=0), [(0, 1 - side % 2) for side in kernel.shape])
    return (kernel / kernel.sum()).astype(np.float32)


def _read_png(path: Path) -> list[np.ndarray]:
    picture = cv2.imdecode(np.fromfile(path, dtype=np.uint8), cv2.IMREAD_UNCHANGED) if path.stat().st_size else None
    if picture is None:
        raise DataError(f"{path} is not a readable picture: export the kernel again")
    return [picture if picture.ndim == 2 else picture[..., :3].mean(axis=2)]


def _read_npy(path: Path) -> list[np.ndarray]:
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path} is not a readable .npy file of numbers: save the kernel again") from error
    if array.dtype.kind not in "buif":
        raise DataError(f"{path} holds {array.dtype} values: a kernel is made of real numbers")
    return list(array) if array.ndim == 3 else [array]


def _read_mat(path: Path) -> list[np.ndarray]:
    try:
        if scipy.io.matlab.matfile_version(path)[0] == MATLAB_V73:
            return _read_mat73(path)
        variables = scipy.io.loadmat(path)
    except DataError:
        raise
    except Exception as error:  # a broken file raises whatever the parser stumbles over
        raise DataError(f"{path} is not a readable MATLAB file: save the kernels again") from error
    return _matrices(variables[_kernel_variable([name for name in variables if not name.startswith("__")], path)], path)


def _read_mat73(path: Path) -> list[np.ndarray]:
    try:
        import h5py  # noqa: PLC0415 (optional dependency)
    except ImportError as error:
        raise DataError(f"{path} is a MATLAB v7.3 file: install h5py to read it (pip install h5py)") from error
    with h5py.File(path, "r") as file:
        name = _kernel_variable([name for name in file if not name.startswith("#")], path)
        return _matrices(_hdf5_value(file, file[name]), path)


def _hdf5_value(file: h5py.File, dataset: Any) -> np.ndarray:
    """MATLAB stores columns first, so every array comes back transposed; a cell array is an array of references."""
    values = np.asarray(dataset[()])
    if values.dtype != object:
        return values.T
    cells = np.empty(values.size, dtype=object)
    for index, reference in enumerate(values.T.ravel(order="F")):
        cells[index] = _hdf5_value(file, file[reference])
    return cells


def _kernel_variable(names: list[str], path: Path) -> str:
    known = [name for wanted in MATLAB_NAMES for name in names if name.lower() == wanted]
    if known or len(names) == 1:
        return (known or names)[0]
    raise DataError(f"{path} holds the variables {', '.join(sorted(names)) or '(none)'}: call the right one kernels")


def _matrices(value: np.ndarray, path: Path) -> list[np.ndarray]:
    if value.dtype == object:
        return [matrix for cell in value.ravel(order="F") for matrix in _matrices(np.asarray(cell), path)]
    if value.dtype.kind not in "buif":
        raise DataError(f"{path} holds no matrix of real numbers where the kernels should be")
    return list(np.moveaxis(value, 2, 0)) if value.ndim == 3 else [value]
