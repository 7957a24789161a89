"""How fast motion blur is: in space against by FFT, pictures a second as training loads them, and blur that varies.

Run from the project's root: ``python benchmarks/blur_speed.py``. Times are of one thread, the best of several runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import cv2
import numpy as np

from uml_in_arch.cli import run
from uml_in_arch.data.blur import MAX_SPATIAL_TAPS, MotionBlur, correlate_fft, correlate_spatial
from uml_in_arch.data.exposure import Window
from uml_in_arch.data.registered import SyntheticBlurDataset
from uml_in_arch.data.scene_blur import SceneBlur
from uml_in_arch.data.seeding import rng_for

PICTURES = ((128, 128), (256, 256), (720, 1280))
KERNEL_SIZES = (5, 9, 15, 21, 27, 31, 41, 51, 75, 101)
REPEATS = 5
SCENES = 40


def main() -> None:
    """Print all of it."""
    cv2.setNumThreads(1)
    print(f"milliseconds a picture; MotionBlur works in space up to {MAX_SPATIAL_TAPS} values that are not 0")
    print("picture    kernel   taps    space      FFT  cv2.filter2D  chosen (pictures/s)")
    for height, width in PICTURES:
        crossover = _compare(height, width)
        print(f"{width}x{height}: the FFT is quicker from {crossover or 'more'} taps on\n")
    for gt_size in (128, 256):
        _load(gt_size)
    for window in (Window(0, 0, 256, 256), Window(0, 0, 320, 320), Window(0, 0, 720, 1280)):
        _scene(window)


def _compare(height: int, width: int) -> int | None:
    rng = np.random.default_rng(0)
    image = rng.random((height, width, 3), dtype=np.float32)
    slower_in_space = []
    for size in KERNEL_SIZES:
        kernel = MotionBlur(kernel_size=(size, size)).draw_kernel(rng_for(0, str(size)))
        margin = kernel.shape[0] // 2
        padded = cv2.copyMakeBorder(image, margin, margin, margin, margin, cv2.BORDER_REFLECT_101)
        space = _milliseconds(correlate_spatial, padded, kernel)
        fft = _milliseconds(correlate_fft, padded, kernel)
        opencv = _milliseconds(lambda picture, taps: cv2.filter2D(picture, -1, taps), image, kernel)
        taps = np.count_nonzero(kernel)
        if space > fft:
            slower_in_space.append(taps)
        way, best = ("space", space) if taps <= MAX_SPATIAL_TAPS else ("FFT", fft)
        row = (
            f"{width}x{height}".ljust(11)
            + f"{kernel.shape[0]:3d}x{kernel.shape[1]:<3d} {taps:5d} {space:8.2f} {fft:8.2f}"
        )
        print(f"{row} {opencv:13.2f}  {way} ({1000 / best:.0f})", flush=True)
    return min(slower_in_space, default=None)


def _load(gt_size: int) -> None:
    """Everything a training sample costs, from pictures in memory: kernel, crop, blur, noise, flips, tensors."""
    options = {"name": "benchmark", "type": "SyntheticBlurDataset", "phase": "train", "photographs": ["astronaut"]}
    blur = {"kernel_size": [9, 31], "noise": [0, 3]}
    dataset = SyntheticBlurDataset({**options, "gt_size": gt_size, "draws_per_image": 100, "blur": blur})
    start = time.perf_counter()
    for index in range(len(dataset)):
        dataset[index]
    rate = len(dataset) / (time.perf_counter() - start)
    print(f"SyntheticBlurDataset, crops of {gt_size}, kernels 9 to 31: {rate:.0f} samples/s in one process")


def _scene(window: Window) -> None:
    """SceneBlur's CPU time; it differs a lot from draw to draw, with the number of frames and of things."""
    image = np.random.default_rng(0).integers(0, 256, (900, 1400, 3), np.uint8)
    for what, blur in (("", SceneBlur()), (", nothing moving by itself", SceneBlur(things_share=0))):
        times = []
        for draw in range(SCENES):
            start = time.thread_time()
            blur.apply(image, rng_for(0, "scene", draw), window)
            times.append(1000 * (time.thread_time() - start))
        spread = f"mean {np.mean(times):.0f}, median {np.median(times):.0f}, longest {max(times):.0f} ms"
        print(f"SceneBlur, {window.width}x{window.height}{what}: {spread}", flush=True)


def _milliseconds(
    correlate: Callable[[np.ndarray, np.ndarray], np.ndarray], image: np.ndarray, kernel: np.ndarray
) -> float:
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        correlate(image, kernel)
        seconds.append(time.perf_counter() - start)
    return 1000 * min(seconds)


if __name__ == "__main__":
    run(main)
