"""Files that let a comparison go on where it stopped; each is written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from uml_in_arch.errors import DataError


def digest(*parts: Any) -> str:
    """Sixteen hexadecimal digits for plain data, arrays and bytes."""
    sha = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            sha.update(f"{part.dtype}{part.shape}".encode())
            sha.update(np.ascontiguousarray(part).data)
        else:
            sha.update(part if isinstance(part, bytes) else json.dumps(part, sort_keys=True).encode())
    return sha.hexdigest()[:16]


def file_digest(path: str | Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    sha = hashlib.sha256()
    with Path(path).expanduser().open("rb") as file:
        while block := file.read(1 << 20):
            sha.update(block)
    return sha.hexdigest()


def file_name(name: str) -> str:
    """A name as a part of a file name: letters, digits, dots, dashes and underscores."""
    return re.sub(r"[^\w.-]+", "_", name, flags=re.ASCII).strip("._") or "unnamed"


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file beside and rename it, so that a killed process leaves the old one or none.

    Raises:
        DataError: It cannot be written.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(content)
        os.replace(beside, path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise DataError(f"{path}: cannot be written ({error.strerror}); make room or choose another output") from error


def write_json(path: Path, content: Any) -> None:
    """Plain data as JSON; see `write_bytes`."""
    write_bytes(path, json.dumps(content).encode())


def read_json(path: Path) -> Any:
    """What `write_json` wrote, or None if there is nothing usable."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None


def write_png(path: Path, picture: np.ndarray) -> None:
    """An uint8 BGR or grey picture; see `write_bytes`."""
    # the fastest level: half the size again is not worth most of the time
    write_bytes(path, cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes())


def read_png(path: str | Path) -> np.ndarray | None:
    """What `write_png` wrote, or None if there is nothing usable."""
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED) if Path(path).is_file() else None
