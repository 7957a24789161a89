"""Turn LSUN scenes (Yu et al., 2015) into LMDBs of blurry and sharp pairs that BasicSR reads.

Source: a folder with the official LMDBs (``bedroom_train_lmdb/``, ``bedroom_val_lmdb/``: hashed keys, WebP or JPEG
values) or with folders of exported pictures (``bedroom_train/``, ``bedroom/``), or one of these itself. Result:
``bedroom_train_{blur,sharp}.lmdb`` and so on, 256x256, the centre of each picture. Keys are those of LSUN.

A category may have 3 million pictures: keys are read as they are needed, never all at once.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath

from command_line import add_common_arguments, build_all, positive
from image_folder import ImageFolder
from lmdb_build import Build, Items, Record, digest
from pictures import decode_image, make_key, read_file
from png_file import PictureError
from synthetic_pairs import SquarePair, add_blur_arguments, synthetic_blur
from verify_lmdb import count_entries, iterate_keys, reading

from uml_in_arch import cli
from uml_in_arch.errors import DataError

LAYOUT = "CATEGORY_train_lmdb/ (unzipped) or folders of pictures named CATEGORY or CATEGORY_train"
SPLIT_NAME = re.compile(r"(?P<category>.+?)(_(train|val|test))?(?P<lmdb>_lmdb)?")


@dataclass(frozen=True)
class LmdbKeys:
    """The keys of an official LMDB, as text."""

    folder: Path

    def __iter__(self) -> Iterator[str]:
        return (key.decode("latin-1") for key in iterate_keys(self.folder))

    def __len__(self) -> int:
        return count_entries(self.folder)


@dataclass(frozen=True)
class First:
    """The first ``limit`` of some items."""

    items: Items[str]
    limit: int

    def __iter__(self) -> Iterator[str]:
        return islice(self.items, self.limit)

    def __len__(self) -> int:
        return min(self.limit, len(self.items))


@dataclass(frozen=True)
class ScenePair:
    """Read, cut and blur a scene: ``item`` is a key of the LMDB or a path in the folder."""

    place: Path
    is_lmdb: bool
    make: SquarePair

    def __call__(self, item: str) -> list[Record]:
        """The record of one picture."""
        name = f"{self.place}: {item}"
        if self.is_lmdb:
            with reading(self.place) as transaction:
                data, stem = bytes(transaction.get(item.encode("latin-1"), b"")), item
        else:
            data, stem = read_file(self.place / item), PurePosixPath(item).stem
        if not data:
            raise PictureError(f"{name}: it is empty; download it again")
        return [self.make(make_key(stem), name, decode_image(data, name, any_colour=True))]


def find_places(source: Path, categories: list[str] | None) -> list[tuple[str, Path, bool]]:
    """(name, place, whether it is an LMDB) of everything to prepare, ordered by name.

    Raises:
        DataError: nothing of the wanted categories is there, or twice.
    """
    if not source.is_dir():
        raise DataError(f"{source} is no folder: expected {LAYOUT}")
    inside = sorted(path for path in source.iterdir() if path.is_dir())
    found: dict[str, tuple[str, Path, bool]] = {}
    for place in [source] if _holds_data(source) else inside:
        match = SPLIT_NAME.fullmatch(place.resolve().name)
        is_lmdb = (place / "data.mdb").is_file()
        if (categories and match["category"] not in categories) or not (is_lmdb or any(iter(ImageFolder(place)))):
            continue
        name = make_key(place.resolve().name.removesuffix("_lmdb"))
        if name in found:
            raise DataError(f"{found[name][1]} and {place} would both become {name}: give one of them as --source")
        found[name] = (name, place, is_lmdb)
    missing = [
        name for name in categories or [] if not any(SPLIT_NAME.fullmatch(key)["category"] == name for key in found)
    ]
    if missing or not found:
        raise DataError(f"no LSUN {' or '.join(missing) or 'category'} in {source}: expected {LAYOUT}")
    return list(found.values())


def _holds_data(folder: Path) -> bool:
    return (folder / "data.mdb").is_file() or not any(path.is_dir() for path in folder.iterdir())


def make_builds(arguments: argparse.Namespace) -> list[Build[str]]:
    """One build for each category and split."""
    make = SquarePair(0, arguments.size, synthetic_blur(arguments))
    builds = []
    for name, place, is_lmdb in find_places(arguments.source, arguments.category):
        items: Items[str] = LmdbKeys(place) if is_lmdb else ImageFolder(place)
        # the keys of an LMDB cannot be read without reading all of it
        identity = str((place / "data.mdb").stat().st_size) if is_lmdb else digest(items)
        if arguments.max_images:
            items = First(items, arguments.max_images)
        if not len(items):
            raise DataError(f"{place} is empty: download it again")
        builds.append(
            Build(
                name=name,
                target=arguments.target,
                lmdbs=(f"{name}_blur.lmdb", f"{name}_sharp.lmdb"),
                items=items,
                convert=ScenePair(place, is_lmdb, make),
                settings={**make.settings, "source": identity},
                items_per_task=16,
            )
        )
    return builds


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_common_arguments(parser)
    parser.add_argument("--category", nargs="+", help="only these, such as bedroom church_outdoor (default: all)")
    parser.add_argument("--max-images", type=positive, help="only the first so many of each, in the order of the keys")
    parser.add_argument("--size", type=positive, default=256, help="side of the pictures (default: %(default)s)")
    add_blur_arguments(parser, kernel_size=(9, 31))
    arguments = parser.parse_args()
    return build_all(make_builds(arguments), arguments)


if __name__ == "__main__":
    cli.run(main)
