"""What the preparation scripts' command lines share."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from lmdb_build import Build, Item, estimate
from lmdb_writer import WriterOptions, needs_building, write_lmdbs
from worker_pool import WorkerPool

from uml_in_arch.errors import OptionError

EXIT_SKIPPED = 3


def add_common_arguments(parser: argparse.ArgumentParser, source_required: bool = True) -> None:
    """Add --source, --target and the writer's options."""
    parser.add_argument("--source", type=Path, required=source_required, help="the data set as it was downloaded")
    parser.add_argument("--target", type=Path, required=True, help="folder that receives the LMDBs")
    parser.add_argument("--workers", type=positive, help="worker processes (default: one per core)")
    parser.add_argument("--resume", action="store_true", help="go on with a build that was interrupted")
    parser.add_argument(
        "--skip-corrupt",
        action="store_true",
        help=f"leave out pictures that cannot be used, list them in NAME_skipped.txt and exit with {EXIT_SKIPPED}",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be written and how big; write nothing")


def add_tile_arguments(parser: argparse.ArgumentParser, tile: int, step: int) -> None:
    """Add --tile and --step with these defaults."""
    parser.add_argument(
        "--tile", type=positive, default=tile, help="size of training sub-images (default: %(default)s)"
    )
    parser.add_argument("--step", type=positive, default=step, help="distance between them (default: %(default)s)")


def check_tiles(arguments: argparse.Namespace) -> None:
    """Raise OptionError if --step leaves gaps between sub-images."""
    if arguments.step > arguments.tile:
        raise OptionError(f"--step {arguments.step} leaves gaps between sub-images of {arguments.tile}: lower it")


def positive(text: str) -> int:
    """A whole number of at least 1, for argparse."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def build_all(builds: Sequence[Build[Item]], arguments: argparse.Namespace) -> int:
    """Do the builds, or with --dry-run say what they would do. Returns the exit status: 0, or 3 after skipping.

    Raises:
        DataError: see `lmdb_writer`; existing targets are found before anything is written.
    """
    options = WriterOptions(arguments.resume, arguments.skip_corrupt)
    todo = []
    for build in builds:
        if needs_building(build, options):
            todo.append(build)
        else:
            print(f"{build.name}: complete already")
    if arguments.dry_run:
        for build in todo:
            _print_plan(build)
        return 0
    with WorkerPool(arguments.workers) as pool:
        return max((_do(build, options, pool) for build in todo), default=0)


def _do(build: Build[Item], options: WriterOptions, pool: WorkerPool) -> int:
    skipped = write_lmdbs(build, options, pool)
    for folder in build.finals:
        size = (folder / "data.mdb").stat().st_size
        with (folder / "meta_info.txt").open(encoding="ascii") as lines:
            print(f"{folder}: {sum(1 for _ in lines):,} pictures, {_readable(size)}", flush=True)
    if not skipped:
        return 0
    print(f"{build.name}: {len(skipped):,} left out, see {build.target / f'{build.name}_skipped.txt'}", flush=True)
    return EXIT_SKIPPED


def _print_plan(build: Build[Item]) -> None:
    expected = estimate(build)
    print(f"{build.name}: {len(build.items):,} source pictures")
    for folder, size in zip(build.finals, expected.sizes, strict=True):
        print(f"  {folder}: about {expected.records:,} pictures, {_readable(size)}")
    existing = next(folder for folder in (build.target, *build.target.resolve().parents) if folder.exists())
    print(f"  needed: {_readable(sum(expected.sizes))}, free: {_readable(shutil.disk_usage(existing).free)}")


def _readable(size: float) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 1e8 else f"{size / 1e6:.2f} MB"
