"""The folder in which a build lives until it is complete: owned by one process, tied to its settings, published."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lmdb_build import Build, Item

from uml_in_arch.errors import DataError


@contextmanager
def staging_folder(build: Build[Item]) -> Iterator[None]:
    """Own the staging folder. It is removed on success, and after an error that left nothing to resume."""
    try:
        build.staging.mkdir(parents=True, exist_ok=True)
        with (build.staging / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise DataError(f"{build.staging} is being built by another process: wait for it") from error
            try:
                if is_resumable(build):
                    _check_settings(build)
                else:
                    for folder in build.staged:
                        shutil.rmtree(folder, ignore_errors=True)
                yield
            except DataError:
                if not is_resumable(build):
                    shutil.rmtree(build.staging)
                raise
            _settings_file(build).unlink()  # first: a kill while the rest is removed leaves nothing to resume
            shutil.rmtree(build.staging)
    except OSError as error:
        raise DataError(
            f"cannot write to {build.target} ({error.strerror}): mend that, then go on with --resume"
        ) from error


def _settings_file(build: Build[Item]) -> Path:
    return build.staging / "settings.json"


def _settings(build: Build[Item]) -> dict[str, str | int | float | bool | None]:
    return {**build.settings, "number of source pictures": len(build.items)}


def _check_settings(build: Build[Item]) -> None:
    before, now = json.loads(_settings_file(build).read_text(encoding="utf-8")), _settings(build)
    changed = [name for name in sorted(before | now) if before.get(name) != now.get(name)]
    if changed:
        differences = ", ".join(f"{name} was {before.get(name)}, is now {now.get(name)}" for name in changed)
        raise DataError(f"{build.staging} was begun otherwise ({differences}): go back to that, or delete the folder")


def remember_settings(build: Build[Item]) -> None:
    """Say what the build is, so that ``--resume`` can compare; to be called before the first transaction."""
    if not is_resumable(build):
        write_durably(_settings_file(build), json.dumps(_settings(build), indent=2))


def is_resumable(build: Build[Item]) -> bool:
    """Whether there is an unfinished build that holds something."""
    return _settings_file(build).exists()


def publish(build: Build[Item]) -> None:
    """Rename all LMDBs to their places, or none. A kill in between is mended by ``--resume``."""
    moved: list[tuple[Path, Path]] = []
    try:
        for staged, final in zip(build.staged, build.finals, strict=True):
            if staged.exists():
                staged.rename(final)
                moved.append((staged, final))
    except OSError:
        for staged, final in moved:
            final.rename(staged)
        raise


def write_durably(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all."""
    temporary = path.with_name(path.name + ".new")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
