"""Turn CelebA's aligned faces (Liu et al., ICCV 2015) into LMDBs of blurry and sharp pairs that BasicSR reads.

Source: a folder with ``img_align_celeba/`` or ``img_align_celeba.zip`` (or one of these itself) and the official
``list_eval_partition.txt``. Result: ``{train,val,test}_{blur,sharp}.lmdb`` by that partition, keys ``000001`` and on.

The default is the centre 178x178 (aligned faces are 178 wide) reduced to 128x128: the size of the face deblurring
literature, and a sharp one. Enlarging to 256 would quadruple the data without a detail more.
"""

from __future__ import annotations

import argparse
import os
import re
import zipfile
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

from command_line import add_common_arguments, build_all, positive
from lmdb_build import Build, Record, digest
from pictures import decode_image, make_key, read_file
from png_file import PictureError
from synthetic_pairs import SquarePair, add_blur_arguments, synthetic_blur

from uml_in_arch import cli
from uml_in_arch.errors import DataError

SPLITS = ("train", "val", "test")
IMAGE_PLACES = ("img_align_celeba/img_align_celeba", "img_align_celeba", "Img/img_align_celeba")
PARTITION_NAMES = ("list_eval_partition.txt", "list_eval_partition.csv")
LAYOUT = "img_align_celeba/ or img_align_celeba.zip, and list_eval_partition.txt"


@dataclass(frozen=True)
class Faces:
    """The pictures: a folder or a zip, and the place of each name in it."""

    place: Path
    prefix: str

    def read(self, name: str) -> bytes:
        """The encoded picture.

        Raises:
            PictureError: it is missing or its checksum is wrong.
        """
        if self.place.is_dir():
            return read_file(self.place / name)
        try:
            return _open_zip(self.place, os.getpid()).read(self.prefix + name)
        except (OSError, KeyError, zipfile.BadZipFile, zlib.error) as error:
            raise PictureError(f"{self.place}: {name} cannot be read from the zip; download it again") from error


@lru_cache(maxsize=1)
def _open_zip(path: Path, _process: int) -> zipfile.ZipFile:
    """One open zip per process: forked processes would share a file position."""
    return zipfile.ZipFile(path)


@dataclass(frozen=True)
class FacePair:
    """Read, cut and blur a face."""

    faces: Faces
    make: SquarePair

    def __call__(self, name: str) -> list[Record]:
        """The record of one picture."""
        label = f"{self.faces.place}: {name}"
        return [self.make(make_key(PurePosixPath(name).stem), label, decode_image(self.faces.read(name), label, True))]


def find_faces(source: Path) -> tuple[Faces, set[str]]:
    """The pictures below ``source`` and the names that are there.

    Raises:
        DataError: none of the known places has pictures, or the zip is damaged.
    """
    candidates = [source]
    if source.is_dir():
        candidates = [source / place for place in IMAGE_PLACES]
        candidates += [place.with_suffix(".zip") for place in candidates] + [source]
    for place in candidates:
        if place.is_dir():
            names = {entry.name for entry in os.scandir(place) if entry.name.lower().endswith((".jpg", ".png"))}
            if names:
                return Faces(place, ""), names
        elif place.suffix == ".zip" and place.is_file():
            return _list_zip(place)
    raise DataError(f"no CelebA pictures in {source}: expected {LAYOUT}")


def _list_zip(path: Path) -> tuple[Faces, set[str]]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if not name.startswith("__MACOSX/")]
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is not a whole zip file: download it again") from error
    members = [name for name in names if name.lower().endswith((".jpg", ".png"))]
    prefixes = {name[: name.rfind("/") + 1] for name in members}
    if len(prefixes) != 1:
        raise DataError(f"{path} has pictures in {len(prefixes)} folders, one is expected: download it again")
    prefix = prefixes.pop()
    return Faces(path, prefix), {name.removeprefix(prefix) for name in members}


def read_partition(path: Path) -> dict[str, str]:
    """Split of every picture name from CelebA's list (``000001.jpg 0`` lines, or Kaggle's CSV of the same).

    Raises:
        DataError: the file cannot be read or has other lines.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}: give CelebA's list_eval_partition.txt with --partition") from error
    partition = {}
    for number, line in enumerate(lines, start=1):
        match = re.fullmatch(r"(\S+?)[\s,]+([012])\s*", line)
        if match:
            partition[match[1]] = SPLITS[int(match[2])]
        elif line.strip() and number > 1:  # a CSV has a heading
            raise DataError(f"{path}, line {number}: expected a picture's name and 0, 1 or 2: download it again")
    if not partition:
        raise DataError(f"{path} lists no pictures: give CelebA's list_eval_partition.txt with --partition")
    return partition


def find_partition(source: Path, place: Path) -> Path:
    """The partition list near the pictures.

    Raises:
        DataError: it is not there.
    """
    folders = (source, place.parent, place.parent / "Eval", place.parent.parent, place.parent.parent / "Eval")
    for folder in folders:
        for name in PARTITION_NAMES:
            if (folder / name).is_file():
                return folder / name
    raise DataError(f"no list_eval_partition.txt beside {place}: download it from CelebA's Eval folder, or --partition")


def make_builds(arguments: argparse.Namespace) -> list[Build[str]]:
    """One build for each split of which there are pictures."""
    faces, present = find_faces(arguments.source)
    partition = read_partition(arguments.partition or find_partition(arguments.source, faces.place))
    listed = present & partition.keys()
    for count, text in (
        (len(partition) - len(listed), "listed pictures are not there"),
        (len(present) - len(listed), "pictures are not in the partition list and are left out"),
    ):
        if count:
            print(f"{faces.place}: {count:,} {text}")
    make = SquarePair(arguments.crop, arguments.size, synthetic_blur(arguments))
    builds = []
    for split in SPLITS:
        names = sorted(name for name in listed if partition[name] == split)
        if names:
            builds.append(
                Build(
                    name=split,
                    target=arguments.target,
                    lmdbs=(f"{split}_blur.lmdb", f"{split}_sharp.lmdb"),
                    items=names,
                    convert=FacePair(faces, make),
                    settings={**make.settings, "pictures": digest(names)},
                    items_per_task=16,
                )
            )
    if not builds:
        raise DataError(f"none of the pictures in {faces.place} is in the partition list: they do not belong together")
    return builds


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_common_arguments(parser)
    parser.add_argument("--partition", type=Path, help="list_eval_partition.txt, when it is not beside the pictures")
    parser.add_argument("--crop", type=positive, default=178, help="side of the centre square (default: %(default)s)")
    parser.add_argument("--size", type=positive, default=128, help="side after reducing (default: %(default)s)")
    add_blur_arguments(parser, kernel_size=(5, 21))
    arguments = parser.parse_args()
    return build_all(make_builds(arguments), arguments)


if __name__ == "__main__":
    cli.run(main)
