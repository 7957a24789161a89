"""How fast LMDBs are written and read, against BasicSR 1.4.2's own way, in one run on the same files.

    python benchmarks/lmdb_speed.py [--frames FOLDER] [--only copy tiles memory loading]

``--frames`` is a folder of 720x1280 PNGs (GoPro's, say), read as blurry and sharp alike; without it scikit-image's
photographs are enlarged to that size. Files are read once before anything is timed, so the cache is warm.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import skimage.data
from torch.utils.data import DataLoader

import uml_in_arch.toolbox  # noqa: F401  mends BasicSR

from basicsr.data.paired_image_dataset import PairedImageDataset
from basicsr.utils.lmdb_util import make_lmdb_from_imgs

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "datasets_prep"))
from tiles import tile_starts  # noqa: E402  after the path it is on
from worker_pool import usable_cores  # noqa: E402

TILE, STEP = 512, 256
_LAUNCHER = """
import os, sys
quiet = os.open(os.devnull, os.O_WRONLY)
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, quiet, 1),
                                                                            (os.POSIX_SPAWN_DUP2, quiet, 2)])
_, status, usage = os.wait4(child, 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def make_tree(work: Path, frames: Path | None, count: int) -> Path:
    """A GOPRO_Large tree of ``count`` pairs in train and test (links to the same files)."""
    pictures = sorted(frames.rglob("*.png")) if frames else _photographs(work / "photographs")
    source = work / "GOPRO_Large"
    for number in range(count):
        for split in ("train", "test"):
            for index, side in enumerate(("blur", "sharp")):
                folder = source / split / "GOPR0000_00_00" / side
                folder.mkdir(parents=True, exist_ok=True)
                path = folder / f"{number:06d}.png"
                if split == "train":
                    path.write_bytes(pictures[(2 * number + index) % len(pictures)].read_bytes())
                else:
                    path.hardlink_to(source / "train" / "GOPR0000_00_00" / side / path.name)
    return source


def time_copy(work: Path, source: Path) -> None:
    """PNGs stored as they are: prepare_gopro.py's test split against make_lmdb_from_imgs and cp."""
    only_test = work / "only_test"
    only_test.mkdir()
    (only_test / "test").symlink_to((source / "test").resolve())
    pngs = source / "test/GOPR0000_00_00"
    count = 2 * len(list((pngs / "blur").iterdir()))
    ours = seconds(lambda: run_script("prepare_gopro.py", only_test, work / "ours_copy"))
    copied = seconds(lambda: shutil.copytree(pngs, work / "cp"))
    synced = copied + seconds(lambda: subprocess.run(["sync", "-f", str(work / "cp")], check=True))
    theirs = seconds(lambda: basicsr_lmdbs(pngs, work / "basicsr_copy"))
    print(f"PNG pass-through, {count} PNGs of 720x1280, seconds:")
    print(f"  ours {ours:.2f} (start of Python and workers, checksums and reading back included)")
    print(f"  BasicSR make_lmdb_from_imgs {theirs:.2f}: ours is {theirs / ours:.1f} times as fast")
    ratios = f"{ours / copied:.1f} and {ours / synced:.1f}"
    print(f"  cp {copied:.2f}, cp and sync {synced:.2f}: ours takes {ratios} times as long")


def time_tiles(work: Path, source: Path) -> None:
    """Sub-images: prepare_gopro.py's train split against cropping to PNG files and make_lmdb_from_imgs."""
    only_train = work / "only_train"
    only_train.mkdir()
    (only_train / "train").symlink_to((source / "train").resolve())
    ours = seconds(lambda: run_script("prepare_gopro.py", only_train, work / "ours_tiles"))
    theirs_cut = seconds(lambda: cut_to_files(source / "train/GOPR0000_00_00", work / "tiles"))
    theirs_lmdb = seconds(lambda: basicsr_lmdbs(work / "tiles", work / "basicsr_tiles"))
    theirs = theirs_cut + theirs_lmdb
    print(f"Sub-images of {TILE}, step {STEP}, seconds on {usable_cores()} cores:")
    print(f"  ours {ours:.2f}")
    print(
        f"  BasicSR {theirs:.2f} (cropping {theirs_cut:.2f}, LMDB {theirs_lmdb:.2f}): ours is {theirs / ours:.1f} "
        "times as fast"
    )
    for name, folder in (("ours", "ours_tiles/train_"), ("BasicSR", "basicsr_tiles/")):
        size = sum((work / f"{folder}{side}.lmdb/data.mdb").stat().st_size for side in ("blur", "sharp"))
        print(f"  size, {name}: {size / 1e6:.1f} MB")


def time_loading(work: Path, source: Path) -> None:
    """The training loader on our sub-images against BasicSR's dataset on the folders of whole PNGs."""
    run_script("prepare_gopro.py", source, work / "ours_loading")
    pngs = source / "train/GOPR0000_00_00"
    lmdb = loader_rate(work / "ours_loading/train_blur.lmdb", work / "ours_loading/train_sharp.lmdb", "lmdb")
    folder = loader_rate(pngs / "blur", pngs / "sharp", "disk")
    print("Training loader (PairedImageDataset, 256x256 crops, batch 8, 2 workers), pairs per second:")
    print(f"  our LMDB of sub-images {lmdb:.0f}, folder of PNGs {folder:.0f}: {lmdb / folder:.1f} times as many")


def measure_memory(work: Path) -> None:
    """Peak memory of prepare_gopro.py for 1,000 and 10,000 small pairs."""
    print("Peak memory of the largest process (parent or worker), MB:")
    noise = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    picture = cv2.imencode(".png", noise)[1].tobytes()
    for split in ("test", "train"):
        peaks = []
        for count in (1_000, 10_000):
            source = work / f"small_{split}_{count}"
            for side in ("blur", "sharp"):
                folder = source / split / "GOPR0000_00_00" / side
                folder.mkdir(parents=True)
                for number in range(count):
                    (folder / f"{number:06d}.png").write_bytes(picture)
            tiles = ("--tile", 96, "--step", 32)
            peaks.append(run_script("prepare_gopro.py", source, work / f"memory_{split}_{count}", *tiles) / 1024)
            shutil.rmtree(source)
        print(f"  {split}: {peaks[0]:.0f} with 1,000 pairs, {peaks[1]:.0f} with 10,000")


def run_script(script: str, source: Path, target: Path, *more: object) -> int:
    """Run a preparation script on all cores; return the peak memory of its largest process in KiB."""
    command = [sys.executable, f"datasets_prep/{script}", "--source", source, "--target", target, *more]
    # through a small process: the peak of a new process includes that of the one it was started from
    launched = [sys.executable, "-S", "-c", _LAUNCHER, *map(str, command)]
    return int(subprocess.run(launched, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)


def basicsr_lmdbs(folder: Path, target: Path) -> None:
    """BasicSR's way for a pair of folders, as its create_lmdb script calls it."""
    for side in ("blur", "sharp"):
        names = sorted(path.name for path in (folder / side).iterdir())
        keys = [name.removesuffix(".png") for name in names]
        target.mkdir(exist_ok=True)
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            make_lmdb_from_imgs(str(folder / side), str(target / f"{side}.lmdb"), names, keys)


def cut_to_files(folder: Path, target: Path) -> None:
    """Sub-images as PNG files of compression 3, a process per core, as BasicSR's extract_subimages does."""
    jobs = []
    for side in ("blur", "sharp"):
        (target / side).mkdir(parents=True)
        jobs += [(path, target / side) for path in sorted((folder / side).iterdir())]
    with get_context("spawn").Pool(usable_cores()) as pool:
        pool.starmap(_cut_file, jobs)


def _cut_file(path: Path, folder: Path) -> None:
    cv2.setNumThreads(1)
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    corners = [(y, x) for y in tile_starts(image.shape[0], TILE, STEP) for x in tile_starts(image.shape[1], TILE, STEP)]
    for number, (y, x) in enumerate(corners, start=1):
        tile = np.ascontiguousarray(image[y : y + TILE, x : x + TILE])
        cv2.imwrite(str(folder / f"{path.stem}_s{number:03d}.png"), tile, [cv2.IMWRITE_PNG_COMPRESSION, 3])


def loader_rate(blur: Path, sharp: Path, backend: str) -> float:
    """Pairs per second of a training DataLoader, after its workers have started."""
    options = {
        "dataroot_lq": str(blur),
        "dataroot_gt": str(sharp),
        "io_backend": {"type": backend},
        "phase": "train",
        "scale": 1,
        "gt_size": 256,
        "use_hflip": True,
        "use_rot": True,
    }
    dataset = PairedImageDataset(options)
    loader = iter(
        DataLoader(
            dataset, batch_size=8, num_workers=2, sampler=[i % len(dataset) for i in range(8 * 30)], drop_last=True
        )
    )
    for _ in range(5):
        next(loader)
    batches = 0
    start = time.perf_counter()
    for _ in loader:
        batches += 1
    return 8 * batches / (time.perf_counter() - start)


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _photographs(folder: Path) -> list[Path]:
    folder.mkdir()
    paths = []
    for name in ("astronaut", "coffee", "chelsea", "rocket"):
        image = cv2.resize(getattr(skimage.data, name)()[..., ::-1], (1280, 720), interpolation=cv2.INTER_CUBIC)
        paths.append(folder / f"{name}.png")
        cv2.imwrite(str(paths[-1]), image, [cv2.IMWRITE_PNG_COMPRESSION, 6])
    return paths


def main() -> None:
    """Entry point."""
    parts = {"copy": (time_copy, 100), "tiles": (time_tiles, 40), "loading": (time_loading, 20)}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=Path, help="folder of 720x1280 PNGs (default: scikit-image's, enlarged)")
    parser.add_argument("--only", nargs="+", choices=(*parts, "memory"), default=(*parts, "memory"))
    parser.add_argument("--work", type=Path, help="where to write (default: the system's temporary folder)")
    arguments = parser.parse_args()
    for name in arguments.only:
        with tempfile.TemporaryDirectory(dir=arguments.work) as work:
            if name == "memory":
                measure_memory(Path(work))
            else:
                part, count = parts[name]
                part(Path(work), make_tree(Path(work), arguments.frames, count))


if __name__ == "__main__":
    main()
