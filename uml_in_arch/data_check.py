"""Looks at the data of an option file before a run starts: folders, LMDBs, pairs, sizes. Decodes no picture."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from uml_in_arch.errors import DataError, OptionError
from uml_in_arch.lmdb_files import count_entries

Shape = tuple[int, int, int]

_META_LINE = re.compile(r"([^.]+)\.\S+ \((\d+), ?(\d+), ?(\d+)\)( \d+)?")
_PREPARED = ("gopro", "celeba", "lsun", "lai")


def check_dataset(options: Mapping[str, Any], where: str, batch_size: int, world_size: int) -> None:
    """Check all that can be known from a data set's options without reading pictures.

    Args:
        options: The data set's section with ``phase`` and ``scale``.
        where: Its path in the option file, for messages.
        batch_size: Pictures of one step in one process.
        world_size: Number of processes.

    Raises:
        DataError: A folder or LMDB is missing, damaged, empty, unpaired, or its pictures do not fit.
        OptionError: The data set is smaller than a batch.
    """
    roots = {key: str(value) for key, value in options.items() if key.startswith("dataroot") and value}
    for root in roots.values():
        if not Path(root).expanduser().is_dir():
            raise DataError(f"{root}: there is no such folder; {_advice(root)} or correct {where}")
    if not roots or options.get("meta_info_file"):
        return
    sets = {key: _pictures(root, where) for key, root in roots.items()}
    if {"dataroot_lq", "dataroot_gt"} <= sets.keys():
        _check_pairs(options, roots, sets)
    for key, root in roots.items():
        _check_shapes(options, root, sets[key], 1 if key == "dataroot_gt" else options.get("scale", 1))
    if options["phase"] == "train":
        _check_batch(options, where, max(map(len, sets.values())), batch_size, world_size)


def read_meta_info(folder: str | Path) -> dict[str, Shape]:
    """Key to (height, width, channels), from an LMDB's meta_info.txt.

    Raises:
        DataError: A line is not BasicSR's ``key.png (height,width,channels) compression``, or a key is there twice.
    """
    file = Path(folder).expanduser() / "meta_info.txt"
    shapes: dict[str, Shape] = {}
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        match = _META_LINE.fullmatch(line.strip())
        if match is None or match[1] in shapes:
            problem = "not like 'key.png (720,1280,3) 1'" if match is None else f"the key {match[1]!r} a second time"
            raise DataError(f"{file}: line {number} is {problem}; {_advice(str(folder))} again")
        shapes[match[1]] = (int(match[2]), int(match[3]), int(match[4]))
    return shapes


def _pictures(root: str, where: str) -> dict[str, Shape | None]:
    folder = Path(root).expanduser()
    if root.rstrip("/").endswith(".lmdb"):
        for name in ("data.mdb", "meta_info.txt"):
            if not (folder / name).is_file():
                raise DataError(f"{root}: it has no {name}, so it is no whole LMDB; {_advice(root)} again")
        pictures: dict[str, Shape | None] = {**read_meta_info(folder)}
        stored = count_entries(folder)
        if stored < len(pictures):
            raise DataError(
                f"{root}: data.mdb holds {stored} pictures, meta_info.txt lists {len(pictures)}; {_advice(root)} again"
            )
    else:
        files = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
        pictures = dict.fromkeys(str(path.relative_to(folder)) for path in files)
    if not pictures:
        raise DataError(f"{root}: there are no pictures in it; {_advice(root)} or correct {where}")
    return pictures


def _check_pairs(
    options: Mapping[str, Any], roots: Mapping[str, str], sets: Mapping[str, Mapping[str, Shape | None]]
) -> None:
    blurry, sharp = sets["dataroot_lq"], sets["dataroot_gt"]
    template = options.get("filename_tmpl", "{}")
    in_folders = None in blurry.values()
    named = {_lq_name(key, template): key for key in sharp} if in_folders else {key: key for key in sharp}
    lonely = sorted(blurry.keys() ^ named.keys())
    if lonely:
        both = f"{roots['dataroot_lq']} and {roots['dataroot_gt']}"
        raise DataError(
            f"{both} hold different pictures: {len(blurry)} and {len(sharp)}, {len(lonely)} only in one of them "
            f"({', '.join(lonely[:3])}); {_advice(roots['dataroot_lq'])} again"
        )
    scale = options.get("scale", 1)
    for key, small in blurry.items():
        large = sharp[named[key]]
        if scale == 1 and small is not None and large is not None and small[:2] != large[:2]:
            raise DataError(
                f"{roots['dataroot_lq']}: picture {key!r} is {small[1]}x{small[0]}, its ground truth "
                f"{large[1]}x{large[0]}; {_advice(roots['dataroot_lq'])} again"
            )


def _lq_name(name: str, template: str) -> str:
    path = Path(name)
    return f"{template.format(path.stem)}{path.suffix}"


def _check_shapes(options: Mapping[str, Any], root: str, pictures: Mapping[str, Shape | None], divisor: int) -> None:
    shapes = {key: shape for key, shape in pictures.items() if shape is not None}
    grey_allowed = options.get("color") == "y"
    strange = [key for key, shape in shapes.items() if shape[2] != 3 and not (grey_allowed and shape[2] == 1)]
    if strange:
        raise DataError(
            f"{root}: {len(strange)} pictures do not have 3 channels, the first is {strange[0]!r} with "
            f"{shapes[strange[0]][2]}; convert them to 8-bit RGB"
        )
    if options["phase"] == "train" and options.get("gt_size"):
        least = options["gt_size"] // divisor
        small = [key for key, shape in shapes.items() if min(shape[:2]) < least]
        if small:
            height, width = shapes[small[0]][:2]
            raise DataError(
                f"{root}: {len(small)} pictures are smaller than the crop of {least} pixels, the first is {small[0]!r} "
                f"with {width}x{height}; lower gt_size or leave them out"
            )


def _check_batch(options: Mapping[str, Any], where: str, count: int, batch_size: int, world_size: int) -> None:
    ratio = options.get("dataset_enlarge_ratio", 1)
    samples = math.ceil(count * ratio * options.get("draws_per_image", 1) / world_size)
    if samples < batch_size:
        raise OptionError(
            f"{where}: an epoch has {samples} pictures for each process, fewer than one batch of {batch_size}; "
            f"set dataset_enlarge_ratio to at least {math.ceil(ratio * batch_size / samples)}"
        )


def _advice(root: str) -> str:
    name = next((name for name in _PREPARED if name in root.lower()), None)
    return f"run datasets_prep/prepare_{name}.py" if name else "prepare it (see datasets_prep/)"
