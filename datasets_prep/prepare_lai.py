"""Turn the benchmark of Lai et al. (CVPR 2016) into test LMDBs that BasicSR reads, and make training pairs for it.

Source: a folder with the official downloads in any arrangement (``ground_truth/ kernel/ uniform/ nonuniform/
real_dataset/``, or ``kernels/ blur/ sharp/ real/`` as found elsewhere): pictures are told apart by their names,
``SCENE_kernel_NN``, ``SCENE_gyro_NN``, ``kernel_NN`` and ``SCENE``; real ones by a folder whose name begins with
``real``. Result: ``uniform_{blur,sharp}.lmdb``, ``nonuniform_{blur,sharp}.lmdb`` and ``real_blur.lmdb``.

The benchmark's kernels are off-centre, so the ground truth is brought to the place of the blurry picture: by the
kernel's centroid, rounded to whole pixels, and where there is no kernel by the shift with the least squared error.
Both pictures are cropped to what they have in common.

With ``--train-from FOLDER`` any sharp pictures become ``train_{blur,sharp}.lmdb``: sub-images with synthetic motion
blur of the benchmark's kernel sizes.
"""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from alignment import best_shift, crop_to_common, shift_of_kernel
from command_line import add_common_arguments, add_tile_arguments, build_all, check_tiles
from image_folder import ImageFolder
from lmdb_build import Build, Item, Record, digest, refuse_duplicates
from pictures import decode_image, make_key, read_file
from png_file import PictureError, encode_png, inspect_png
from synthetic_pairs import SyntheticBlur, add_blur_arguments, synthetic_blur
from tiles import cut_tiles

from uml_in_arch import cli
from uml_in_arch.data.kernels import load_kernels
from uml_in_arch.errors import DataError

BLURRY_NAME = re.compile(r"(?P<scene>.+)_(?P<kind>kernel|gyro)_(?P<number>\d+)")
KERNEL_NAME = re.compile(r"kernel_\d+")
BUILD_NAMES = {"kernel": "uniform", "gyro": "nonuniform"}
KERNEL_SIZES = (31, 75)  # the benchmark's four kernels have sides between these
LAYOUT = "ground_truth/, kernel/, uniform/, nonuniform/ or real_dataset/"


@dataclass(frozen=True)
class BenchmarkPair:
    """A blurry picture, its ground truth, and the kernel between them if there is one."""

    blur: Path
    sharp: Path
    kernel: Path | None

    @property
    def key(self) -> str:
        """The blurry file's name."""
        return make_key(self.blur.stem)


def align_pair(pair: BenchmarkPair) -> list[Record]:
    """The record of a pair, brought to the same place."""
    blur, sharp = (decode_image(read_file(path), str(path), any_colour=True) for path in (pair.blur, pair.sharp))
    if blur.shape != sharp.shape:
        raise PictureError(
            f"{pair.blur} has {blur.shape[1]}x{blur.shape[0]} pixels, {pair.sharp} {sharp.shape[1]}x{sharp.shape[0]}: "
            "they are no pair, download both again"
        )
    shift = shift_of_kernel(_one_kernel(pair.kernel)) if pair.kernel else best_shift(blur, sharp)
    return [Record(pair.key, tuple(map(encode_png, crop_to_common(blur, sharp, shift))))]


def _one_kernel(path: Path) -> np.ndarray:
    return load_kernels(path)[0]


def keep_or_encode(path: Path) -> list[Record]:
    """The record of a picture without ground truth: its own bytes if it is an 8-bit RGB PNG."""
    data = read_file(path)
    try:
        inspect_png(data, str(path))
    except PictureError:
        return [Record(make_key(path.stem), (encode_png(decode_image(data, str(path), any_colour=True)),))]
    return [Record(make_key(path.stem), (path,))]


@dataclass(frozen=True)
class BlurAndCut:
    """Blur a sharp picture as a whole, then cut both into sub-images."""

    root: Path
    blur: SyntheticBlur
    tile: int
    step: int

    def __call__(self, name: str) -> list[Record]:
        """The records of one picture."""
        path = self.root / name
        sharp = decode_image(read_file(path), str(path), any_colour=True)
        if min(sharp.shape[:2]) < self.tile:
            size = f"{sharp.shape[1]}x{sharp.shape[0]} pixels"
            raise PictureError(f"{path}: {size}, smaller than --tile {self.tile}: use a smaller one")
        key = make_key(str(Path(name).with_suffix("")))
        return cut_tiles(key, (self.blur.apply(key, sharp), sharp), self.tile, self.step)


def find_benchmark(source: Path) -> tuple[dict[str, list[BenchmarkPair]], list[Path]]:
    """The pairs by build name, and the real pictures, all ordered by name.

    Raises:
        DataError: nothing is there, a ground truth is missing or is there twice.
    """
    if not source.is_dir():
        raise DataError(f"{source} is no folder: expected {LAYOUT}")
    blurry: list[tuple[re.Match[str], Path]] = []
    kernels: dict[str, Path] = {}
    sharp: dict[str, list[Path]] = {}
    real: list[Path] = []
    for name in ImageFolder(source):
        path = source / name
        match = BLURRY_NAME.fullmatch(path.stem)
        if match:
            blurry.append((match, path))
        elif KERNEL_NAME.fullmatch(path.stem):
            kernels[path.stem] = path
        elif any(part.lower().startswith("real") for part in (source.resolve().name, *Path(name).parts[:-1])):
            real.append(path)
        else:
            sharp.setdefault(path.stem, []).append(path)
    pairs: dict[str, list[BenchmarkPair]] = {}
    for match, path in sorted(blurry, key=lambda entry: entry[1].stem):
        truths = sharp.get(match["scene"], [])
        if len(truths) != 1:
            found = f"{truths[0]} and {truths[1]} both are" if truths else "nothing is"
            raise DataError(f"{path}: {found} its ground truth {match['scene']}: keep one in ground_truth/")
        kernel = kernels.get(f"kernel_{match['number']}") if match["kind"] == "kernel" else None
        pairs.setdefault(BUILD_NAMES[match["kind"]], []).append(BenchmarkPair(path, truths[0], kernel))
    if not pairs and not real:
        raise DataError(f"no picture of the benchmark in {source}: expected {LAYOUT}")
    for group in pairs.values():
        refuse_duplicates((pair.key, pair.blur) for pair in group)
    real.sort(key=lambda path: path.stem)
    refuse_duplicates((make_key(path.stem), path) for path in real)
    return pairs, real


def benchmark_builds(source: Path, target: Path) -> list[Build[BenchmarkPair] | Build[Path]]:
    """One build for each part of the benchmark that is there."""
    found, real = find_benchmark(source)
    builds: list[Build[BenchmarkPair] | Build[Path]] = []
    for name, pairs in found.items():
        without = sum(pair.kernel is None for pair in pairs)
        if name == "uniform" and without:
            print(f"{source}: the kernels of {without} pictures are not there, their shifts are searched")
        settings = {"pictures": digest(pair.key for pair in pairs), "without kernel": without}
        lmdbs = (f"{name}_blur.lmdb", f"{name}_sharp.lmdb")
        builds.append(Build(name, target, lmdbs, pairs, align_pair, settings))
    if real:
        settings = {"pictures": digest(path.name for path in real)}
        builds.append(Build("real", target, ("real_blur.lmdb",), real, keep_or_encode, settings))
    return builds


def training_build(arguments: argparse.Namespace) -> Build[str]:
    """The build of synthetic training pairs."""
    pictures = ImageFolder(arguments.train_from)
    if not arguments.train_from.is_dir() or not len(pictures):
        raise DataError(f"no pictures in {arguments.train_from}: give a folder of sharp ones as --train-from")
    convert = BlurAndCut(arguments.train_from, synthetic_blur(arguments), arguments.tile, arguments.step)
    settings = {**convert.blur.settings, "tile": arguments.tile, "step": arguments.step, "pictures": digest(pictures)}
    return Build("train", arguments.target, ("train_blur.lmdb", "train_sharp.lmdb"), pictures, convert, settings)


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_common_arguments(parser, source_required=False)
    parser.add_argument("--train-from", type=Path, help="folder of sharp pictures to make training pairs from")
    add_tile_arguments(parser, tile=256, step=256)
    add_blur_arguments(parser, kernel_size=KERNEL_SIZES)
    arguments = parser.parse_args()
    if not arguments.source and not arguments.train_from:
        parser.error("give --source, --train-from or both")
    check_tiles(arguments)
    builds: list[Build[Item]] = [training_build(arguments)] if arguments.train_from else []
    if arguments.source:
        builds += benchmark_builds(arguments.source, arguments.target)
    return build_all(builds, arguments)


if __name__ == "__main__":
    cli.run(main)
