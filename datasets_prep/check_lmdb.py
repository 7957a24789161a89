"""Check a pair of LMDBs (or one alone): keys, shapes, every picture decoded, pairs aligned; draw a contact sheet.

Exits with 0 when all is well and with 2 otherwise. Reads any LMDB of BasicSR's layout.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from command_line import positive
from tqdm import tqdm
from verify_lmdb import Slice, count_entries, iterate_keys, read_slice, reading, slices
from worker_pool import WorkerPool

from uml_in_arch import cli
from uml_in_arch.errors import DataError

_MAX_PROBLEMS = 20
_THUMBNAIL = 256


@dataclass(frozen=True)
class KeyReport:
    """What was found under one key: its shape in each LMDB (None: cannot be decoded) and the pair's PSNR in dB."""

    key: str
    shapes: tuple[str | None, ...]
    psnr: float | None


def check_slice(part: Slice) -> list[KeyReport]:
    """Decode all pictures of a slice and compare those of the first LMDB with those of the second.

    Raises:
        DataError: the LMDBs have different keys.
    """
    reports = []
    for records in zip(*(read_slice(folder, part.first, part.count) for folder in part.folders), strict=False):
        key = records[0][0]
        if any(other != key for other, _ in records):
            raise DataError(f"{part.folders[0]} and {part.folders[1]} have different keys: {key} is in one only")
        images = [_decode(value) for _, value in records]
        psnr = None
        if len(images) == 2 and all(image is not None for image in images) and images[0].shape == images[1].shape:
            psnr = _psnr(images[0], images[1])
        reports.append(KeyReport(key, tuple(image if image is None else _shape_text(image) for image in images), psnr))
    return reports


def read_meta_info(folder: Path) -> dict[str, str]:
    """Shape text by key from meta_info.txt, read as BasicSR reads it.

    Raises:
        DataError: no such file, or a line without a shape.
    """
    shapes = {}
    try:
        for line in (folder / "meta_info.txt").read_text(encoding="utf-8").splitlines():
            shapes[line.split(".")[0]] = sys.intern(line.split(" ")[1])
    except OSError as error:
        raise DataError(
            f"{folder} has no meta_info.txt: it is no LMDB of BasicSR's layout, prepare it again"
        ) from error
    except IndexError as error:
        raise DataError(f"{folder / 'meta_info.txt'}: line {len(shapes) + 1} has no shape: prepare it again") from error
    return shapes


def problems_of(report: KeyReport, folders: tuple[Path, ...], described: tuple[dict[str, str], ...]) -> list[str]:
    """What is wrong with one key, in words."""
    problems = []
    for folder, shape, meta in zip(folders, report.shapes, described, strict=True):
        if shape is None:
            problems.append(f"{folder}: {report.key} cannot be decoded")
        elif report.key not in meta:
            problems.append(f"{folder}: {report.key} is not in meta_info.txt")
        elif shape != meta[report.key]:
            problems.append(f"{folder}: {report.key} is {shape}, meta_info.txt says {meta[report.key]}")
    if not problems and len(set(report.shapes)) > 1:
        problems.append(f"{report.key}: {' and '.join(map(str, report.shapes))} are no pair")
    return problems


def draw_sheet(folders: tuple[Path, ...], keys: list[str], path: Path) -> None:
    """Write a PNG with one row for each key: the key, and its picture in each LMDB fitted to 256 pixels."""
    rows = []
    for key in keys:
        row = np.hstack([_thumbnail(folder, key) for folder in folders])
        caption = np.zeros((18, row.shape[1], 3), np.uint8)
        cv2.putText(caption, key, (4, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 255), 1)
        row = np.vstack([caption, row])
        rows.append(row)
    try:
        path.write_bytes(cv2.imencode(".png", np.vstack(rows))[1].tobytes())
    except OSError as error:
        raise DataError(f"cannot write the contact sheet {path} ({error.strerror}): choose another --sheet") from error


def random_keys(folder: Path, count: int, seed: int) -> list[str]:
    """``count`` keys of the LMDB drawn with ``seed``, in order."""
    total = count_entries(folder)
    chosen = set(np.random.default_rng(seed).choice(total, size=min(count, total), replace=False).tolist())
    return [key.decode("latin-1") for index, key in enumerate(iterate_keys(folder)) if index in chosen]


def check(folders: tuple[Path, ...], psnr_range: tuple[float, float], workers: int | None) -> str:
    """Check all records and return a summary.

    Raises:
        DataError: something is wrong; details were printed.
    """
    described = tuple(read_meta_info(folder) for folder in folders)
    entries = [count_entries(folder) for folder in folders]
    if len(set(entries)) > 1:
        raise DataError(f"{folders[0]} has {entries[0]} records, {folders[1]} has {entries[1]}: prepare both again")
    for folder, meta in zip(folders, described, strict=True):
        if len(meta) != entries[0]:
            raise DataError(f"{folder} has {entries[0]} records, its meta_info.txt {len(meta)}: prepare it again")
    bad = 0
    psnr: list[tuple[float, str]] = []
    with WorkerPool(workers) as pool, tqdm(total=entries[0], unit="picture") as bar:
        for reports in pool.map(check_slice, slices(folders)):
            bar.update(len(reports))
            for report in reports:
                for problem in problems_of(report, folders, described):
                    bad += 1
                    if bad <= _MAX_PROBLEMS:
                        bar.write(problem)
                if report.psnr is not None:
                    psnr.append((report.psnr, report.key))
    if bad:
        raise DataError(f"{bad} problems in {folders[0].parent}: prepare these LMDBs again")
    return f"{entries[0]:,} keys, all pictures decode and have their stated shape" + _judge_psnr(psnr, psnr_range)


def _judge_psnr(pairs: list[tuple[float, str]], allowed: tuple[float, float]) -> str:
    if not pairs:
        return ""
    low, high = allowed
    different = [psnr for psnr, _ in pairs if math.isfinite(psnr)]
    mean = float(np.mean(different)) if different else math.inf
    worst, worst_key = min(pairs)
    summary = (
        f"mean PSNR of the pairs {mean:.2f} dB, lowest {worst:.2f} ({worst_key}), "
        f"{sum(psnr < low for psnr, _ in pairs)} below {low:g}, {len(pairs) - len(different)} identical"
    )
    if not low <= mean <= high:
        raise DataError(
            f"{summary}: expected {low:g} to {high:g} dB. Lower: the pairs do not belong together; higher: there is "
            "hardly any blur (--psnr-range sets the limits)"
        )
    return f"; {summary}"


def _decode(value: memoryview) -> np.ndarray | None:
    return cv2.imdecode(np.frombuffer(value, np.uint8), cv2.IMREAD_UNCHANGED) if len(value) else None


def _shape_text(image: np.ndarray) -> str:
    height, width, channels = image.shape if image.ndim == 3 else (*image.shape, 1)
    return f"({height},{width},{channels})"


def _psnr(first: np.ndarray, second: np.ndarray) -> float:
    peak = np.iinfo(first.dtype).max
    error = float(np.mean((first.astype(np.float32) - second) ** 2, dtype=np.float64))
    return math.inf if error == 0 else 10 * math.log10(peak**2 / error)


def _thumbnail(folder: Path, key: str) -> np.ndarray:
    with reading(folder) as transaction:
        image = cv2.imdecode(np.frombuffer(transaction.get(key.encode("latin-1")), np.uint8), cv2.IMREAD_COLOR)
    scale = _THUMBNAIL / max(image.shape[:2])
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    canvas = np.zeros((_THUMBNAIL, _THUMBNAIL, 3), np.uint8)
    canvas[: size[1], : size[0]] = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return canvas


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lmdbs", type=Path, nargs="+", metavar="LMDB", help="blurry and sharp LMDB, or one alone")
    parser.add_argument("--sheet", type=Path, help="write a contact sheet (PNG) of random pairs here")
    parser.add_argument("--pairs", type=positive, default=8, help="pairs on the contact sheet (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the contact sheet (default: %(default)s)")
    parser.add_argument(
        "--psnr-range",
        type=float,
        nargs=2,
        default=(15.0, 45.0),
        metavar=("LOW", "HIGH"),
        help="where the pairs' mean PSNR must lie, in dB (default: 15 45)",
    )
    parser.add_argument("--workers", type=positive, help="worker processes (default: one per core)")
    arguments = parser.parse_args()
    if len(arguments.lmdbs) > 2:
        parser.error("give one LMDB or a pair")
    folders = tuple(arguments.lmdbs)
    if len({folder.resolve() for folder in folders}) < len(folders):
        parser.error("the two LMDBs are the same")
    summary = check(folders, tuple(arguments.psnr_range), arguments.workers)
    if arguments.sheet:
        draw_sheet(folders, random_keys(folders[0], arguments.pairs, arguments.seed), arguments.sheet)
    print(summary)
    return 0


if __name__ == "__main__":
    cli.run(main)
