"""Which pictures to deblur, and where each result goes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from uml_in_arch.data.pictures import SUFFIXES
from uml_in_arch.errors import DataError

JPEG_SUFFIXES = (".jpeg", ".jpg")


@dataclass(frozen=True)
class Job:
    """One picture: the file, and the file to write."""

    source: Path
    target: Path


def plan(inputs: Sequence[Path], out: Path) -> list[Job]:
    """The pictures of files and of folders with their subfolders; results have the same relative paths in ``out``.

    A JPEG stays one, all else becomes a PNG. Hidden files are left out, and what is in ``out``: results of an earlier
    run.

    Raises:
        DataError: An input is missing or of an unknown format, a folder holds no picture, or a result would replace
            an input or another result.
    """
    if out.exists() and not out.is_dir():
        raise DataError(f"{out} is a file: give a folder for the results after -o")
    jobs = list(dict.fromkeys(job for path in inputs for job in _jobs(path, out)))
    sources = {job.source.resolve() for job in jobs}
    targets: dict[Path, Path] = {}
    for job in jobs:
        if job.target.resolve() in sources or _same_folder(job):
            raise DataError(f"{job.target.parent} holds the input {job.source}: give another folder after -o")
        other = targets.setdefault(job.target, job.source)
        if other.resolve() != job.source.resolve():
            raise DataError(f"{other} and {job.source} would both become {job.target}: rename or leave out one")
    return jobs


def _jobs(path: Path, out: Path) -> Iterator[Job]:
    if path.is_dir():
        found = sorted(_pictures(path, out))
        if not found and path.resolve() == out.resolve():
            raise DataError(f"{out} is the input folder itself: give another folder after -o")
        if not found:
            raise DataError(f"there are no pictures in {path}; known formats: {', '.join(SUFFIXES)}")
        for picture in found:
            yield Job(picture, out / _result(picture.relative_to(path)))
    elif not path.is_file():
        raise DataError(f"{path}: there is no such file or folder; correct the path")
    elif path.suffix.lower() not in SUFFIXES:
        raise DataError(f"{path}: no known format of pictures; convert it to one of {', '.join(SUFFIXES)}")
    else:
        yield Job(path, out / _result(Path(path.name)))


def _pictures(folder: Path, out: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        known = path.suffix.lower() in SUFFIXES and path.is_file()
        if known and not hidden and not path.resolve().is_relative_to(out.resolve()):
            yield path


def _result(path: Path) -> Path:
    return path if path.suffix.lower() in (*JPEG_SUFFIXES, ".png") else path.with_suffix(".png")


def _same_folder(job: Job) -> bool:
    return job.target.parent.resolve() == job.source.parent.resolve()
