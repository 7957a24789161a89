"""Turn the official GoPro deblurring data set (Nah et al., CVPR 2017) into LMDBs that BasicSR reads.

Source: ``GOPRO_Large/{train,test}/SEQUENCE/{blur,blur_gamma,sharp}/FRAME.png``. Result: ``train_blur.lmdb`` and
``train_sharp.lmdb`` of overlapping sub-images, ``test_blur.lmdb`` and ``test_sharp.lmdb`` of whole frames. Keys are
``SEQUENCE-FRAME`` and ``SEQUENCE-FRAME_sNNN``.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from command_line import add_common_arguments, add_tile_arguments, build_all, check_tiles
from lmdb_build import Build, Record, digest, refuse_duplicates
from pictures import decode_image, make_key, read_file
from png_file import PictureError, inspect_png
from tiles import cut_tiles

from uml_in_arch import cli
from uml_in_arch.errors import DataError

LAYOUT = "GOPRO_Large/{train,test}/GOPR*/{blur,blur_gamma,sharp}/*.png"


@dataclass(frozen=True, slots=True)
class FramePair:
    """Two files of the same moment: ``SEQUENCE/BLUR_FOLDER/NAME`` and ``SEQUENCE/sharp/NAME``."""

    sequence: Path
    blur_folder: str
    name: str

    @property
    def key(self) -> str:
        """``SEQUENCE-FRAME``."""
        return f"{make_key(self.sequence.name)}-{make_key(self.name.removesuffix('.png'))}"

    @property
    def blur(self) -> Path:
        """The blurry file."""
        return self.sequence / self.blur_folder / self.name

    @property
    def sharp(self) -> Path:
        """The sharp file."""
        return self.sequence / "sharp" / self.name


@dataclass(frozen=True)
class CutTiles:
    """Cut both frames into sub-images of ``tile`` x ``tile`` pixels every ``step`` pixels, the edges covered."""

    tile: int
    step: int

    def __call__(self, pair: FramePair) -> list[Record]:
        """Records with keys ``KEY_s001`` and on, row by row."""
        blur, sharp = (decode_image(read_file(path), str(path)) for path in (pair.blur, pair.sharp))
        _check_same_size(pair, blur.shape, sharp.shape)
        if min(blur.shape[:2]) < self.tile:
            size = f"{blur.shape[1]}x{blur.shape[0]} pixels"
            raise PictureError(f"{pair.blur}: {size}, smaller than --tile {self.tile}: use a smaller one")
        return cut_tiles(pair.key, (blur, sharp), self.tile, self.step)


def keep_whole(pair: FramePair) -> list[Record]:
    """One record: the two files as they are."""
    shapes = [inspect_png(read_file(path), str(path)).shape for path in (pair.blur, pair.sharp)]
    _check_same_size(pair, *shapes)
    return [Record(pair.key, (pair.blur, pair.sharp))]


def _check_same_size(pair: FramePair, blur: tuple[int, ...], sharp: tuple[int, ...]) -> None:
    if blur != sharp:
        raise PictureError(
            f"{pair.blur} has {blur[1]}x{blur[0]} pixels, its sharp partner {sharp[1]}x{sharp[0]}: one of them is wrong"
        )


def find_pairs(split: Path, blur_folder: str) -> list[FramePair]:
    """All pairs below ``split``, ordered by sequence and frame.

    Raises:
        DataError: no sequences, or a sequence whose two folders do not hold the same frames.
    """
    pairs = []
    for sequence in sorted(path for path in split.iterdir() if path.is_dir()):
        for name in (blur_folder, "sharp"):
            if not (sequence / name).is_dir():
                raise DataError(f"{sequence} has no folder {name}: expected {LAYOUT}")
        blur, sharp = ({path.name for path in (sequence / name).glob("*.png")} for name in (blur_folder, "sharp"))
        if blur != sharp:
            first = min(blur ^ sharp)
            raise DataError(
                f"{sequence}: {len(blur ^ sharp)} frames without a partner, the first "
                f"{blur_folder if first in blur else 'sharp'}/{first}: download it again"
            )
        pairs += [FramePair(sequence, blur_folder, name) for name in sorted(blur)]
    if not pairs:
        raise DataError(f"no frames below {split}: expected {LAYOUT}")
    refuse_duplicates((pair.key, pair.blur) for pair in pairs)
    return pairs


def make_builds(arguments: argparse.Namespace) -> list[Build[FramePair]]:
    """One build for each of train and test that exists."""
    blur_folder = "blur_gamma" if arguments.gamma else "blur"
    builds = []
    for split in ("train", "test"):
        folder = arguments.source / split
        if not folder.is_dir():
            continue
        pairs = find_pairs(folder, blur_folder)
        tiles = {"tile": arguments.tile, "step": arguments.step} if split == "train" else {}
        builds.append(
            Build(
                name=split,
                target=arguments.target,
                lmdbs=(f"{split}_blur.lmdb", f"{split}_sharp.lmdb"),
                items=pairs,
                convert=CutTiles(**tiles) if split == "train" else keep_whole,
                settings={**tiles, "blur folder": blur_folder, "frames": digest(pair.key for pair in pairs)},
            )
        )
    if not builds:
        raise DataError(f"{arguments.source} has neither a train nor a test folder: expected {LAYOUT}")
    if len(builds) == 1:
        missing = "test" if builds[0].name == "train" else "train"
        print(f"{arguments.source} has no {missing} folder: only {builds[0].name} is prepared")
    return builds


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_common_arguments(parser)
    parser.add_argument("--gamma", action="store_true", help="take blur_gamma instead of the benchmark's blur")
    add_tile_arguments(parser, tile=512, step=256)
    arguments = parser.parse_args()
    check_tiles(arguments)
    return build_all(make_builds(arguments), arguments)


if __name__ == "__main__":
    cli.run(main)
