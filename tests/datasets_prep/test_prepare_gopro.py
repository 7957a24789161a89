from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
REAL_PAIRS = ROOT.parent / "shared" / "data" / "gopro_pairs" / "test"
LMDBS = ("train_blur", "train_sharp", "test_blur", "test_sharp")
SMALL = ("--tile", 64, "--step", 48, "--workers", 1)
GoPro = Callable[..., Path]


def assert_one_line(result: subprocess.CompletedProcess[str], *words: str) -> None:
    assert result.returncode == 2, result.stderr
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in last


def assert_nothing_left(target: Path) -> None:
    assert not target.exists() or not list(target.iterdir())


def test_basicsr_reads_what_was_made(
    tmp_path: Path, make_gopro: GoPro, run_script: Callable, contents: Callable, paired_dataset: Callable
):
    source = make_gopro(tmp_path / "GOPRO_Large", {"train": 2, "test": 1})
    result = run_script("prepare_gopro.py", "--source", source, "--target", tmp_path / "out", *SMALL)
    assert result.returncode == 0, result.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(f"{name}.lmdb" for name in LMDBS)
    assert {p.name for p in (tmp_path / "out/test_blur.lmdb").iterdir()} == {"data.mdb", "lock.mdb", "meta_info.txt"}

    files = source / "test/GOPR0384_11_00"
    for name in ("blur", "sharp"):
        records, meta = contents(tmp_path / f"out/test_{name}.lmdb")
        assert records == [(b"GOPR0384_11_00-000001", (files / name / "000001.png").read_bytes())]
        assert meta.startswith("GOPR0384_11_00-000001.png (96,128,3) ")

    train = paired_dataset(tmp_path / "out", "train")
    corners = [(y, x) for y in (0, 32) for x in (0, 48, 64)]
    assert [train[i]["lq_path"] for i in range(len(train))] == [
        f"GOPR0384_11_00-{frame:06d}_s{tile:03d}" for frame in (1, 2) for tile in range(1, 7)
    ]
    for name, side in (("blur", "lq"), ("sharp", "gt")):
        frame = cv2.imread(str(source / f"train/GOPR0384_11_00/{name}/000002.png"))[..., ::-1]
        for number, (y, x) in enumerate(corners):
            tile = np.rint(train[6 + number][side].numpy() * 255).astype(np.uint8).transpose(1, 2, 0)
            np.testing.assert_array_equal(tile, frame[y : y + 64, x : x + 64])


@pytest.mark.skipif(not REAL_PAIRS.is_dir(), reason="the real GoPro pairs are not here")
def test_real_pairs_pass_the_check(tmp_path: Path, run_script: Callable, paired_dataset: Callable):
    for split, names in (("train", ("000001", "000002")), ("test", ("000004",))):
        for side in ("blur", "sharp"):
            folder = tmp_path / "GOPRO_Large" / split / "GOPR0384_11_00" / side
            folder.mkdir(parents=True)
            for name in names:
                shutil.copy(REAL_PAIRS / side / f"GOPR0384_11_00-{name}.png", folder / f"{name}.png")
    out = tmp_path / "out"
    assert run_script("prepare_gopro.py", "--source", tmp_path / "GOPRO_Large", "--target", out).returncode == 0
    pair = (out / "train_blur.lmdb", out / "train_sharp.lmdb")
    result = run_script("check_lmdb.py", *pair, "--sheet", tmp_path / "sheet.png", "--pairs", 3)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("16 keys")
    assert cv2.imread(str(tmp_path / "sheet.png")).shape == (3 * (18 + 256), 2 * 256, 3)
    assert paired_dataset(out, "test")[0]["gt"].shape == (3, 720, 1280)


def test_number_of_workers_does_not_matter(tmp_path: Path, make_gopro: GoPro, run_script: Callable, contents: Callable):
    source = make_gopro(tmp_path / "GOPRO_Large", {"train": 5})
    for workers in (1, 2):
        arguments = ("--tile", 64, "--step", 48, "--workers", workers)
        result = run_script("prepare_gopro.py", "--source", source, "--target", tmp_path / str(workers), *arguments)
        assert result.returncode == 0, result.stderr
        assert "only train is prepared" in result.stdout
    for name in ("train_blur.lmdb", "train_sharp.lmdb"):
        assert contents(tmp_path / "1" / name) == contents(tmp_path / "2" / name)


def test_killed_build_resumes_to_the_same_content(
    tmp_path: Path, make_gopro: GoPro, run_script: Callable, contents: Callable
):
    source = make_gopro(tmp_path / "GOPRO_Large", {"train": 8}, size=(300, 400))
    script = ["prepare_gopro.py", "--source", source, "--tile", 128, "--step", 32, "--workers", 1]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert run_script(*script, "--target", whole).returncode == 0

    command = [sys.executable, "datasets_prep/prepare_gopro.py", *map(str, script[1:]), "--target", str(killed)]
    for wanted in (6e6, 14e6):
        resume = ["--resume"] if killed.exists() else []
        process = subprocess.Popen([*command, *resume], cwd=ROOT, stderr=subprocess.DEVNULL)
        staged = killed / "train.partial/train_blur/data.mdb"
        deadline = time.monotonic() + 60
        while not staged.exists() or staged.stat().st_size < wanted:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not list(killed.glob("**/*.lmdb"))
        assert not list(killed.glob("**/meta_info.txt"))

    assert_one_line(run_script(*script, "--target", killed), "unfinished", "--resume")
    other = run_script(
        "prepare_gopro.py", "--source", source, "--target", killed, "--tile", 64, "--step", 32, "--resume"
    )
    assert_one_line(other, "tile was 128, is now 64")
    result = run_script(*script, "--target", killed, "--resume")
    assert result.returncode == 0, result.stderr
    assert sorted(path.name for path in killed.iterdir()) == ["train_blur.lmdb", "train_sharp.lmdb"]
    for name in ("train_blur.lmdb", "train_sharp.lmdb"):
        assert contents(whole / name) == contents(killed / name)
    assert "complete already" in run_script(*script, "--target", killed, "--resume").stdout


def test_one_corrupt_file_among_many(tmp_path: Path, make_gopro: GoPro, run_script: Callable, contents: Callable):
    source = make_gopro(tmp_path / "GOPRO_Large", {"test": 30})
    victim = source / "test/GOPR0384_11_00/sharp/000017.png"
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 4
    victim.write_bytes(data)
    arguments = ("prepare_gopro.py", "--source", source, "--target", tmp_path / "out", "--workers", 1)
    assert_one_line(run_script(*arguments), str(victim), "corrupt", "--skip-corrupt")
    assert not list((tmp_path / "out").glob("*.lmdb"))
    result = run_script(*arguments, "--resume", "--skip-corrupt")
    assert result.returncode == 3, result.stderr
    listed = (tmp_path / "out/test_skipped.txt").read_text().splitlines()
    assert len(listed) == 1
    assert str(victim) in listed[0]
    keys = [[key for key, _ in contents(tmp_path / f"out/test_{name}.lmdb")[0]] for name in ("blur", "sharp")]
    assert keys[0] == keys[1] == [b"GOPR0384_11_00-%06d" % number for number in range(1, 31) if number != 17]


def test_all_corrupt_is_an_error_even_when_skipping(tmp_path: Path, make_gopro: GoPro, run_script: Callable):
    source = make_gopro(tmp_path / "GOPRO_Large", {"test": 2})
    for path in source.glob("test/*/blur/*.png"):
        path.write_bytes(b"")
    result = run_script("prepare_gopro.py", "--source", source, "--target", tmp_path / "out", "--skip-corrupt", *SMALL)
    assert_one_line(result, "none of the pictures")


def unequal_folders(tree: Path) -> str:
    (tree / "test/GOPR0384_11_00/sharp/000002.png").unlink()
    return "without a partner"


def unequal_sizes(tree: Path) -> str:
    cv2.imwrite(str(tree / "test/GOPR0384_11_00/sharp/000001.png"), np.zeros((8, 8, 3), np.uint8))
    return "sharp partner 8x8"


def grey_picture(tree: Path) -> str:
    cv2.imwrite(str(tree / "test/GOPR0384_11_00/blur/000001.png"), np.zeros((96, 128), np.uint8))
    return "it is grey"


def no_sharp_folder(tree: Path) -> str:
    shutil.rmtree(tree / "test/GOPR0384_11_00/sharp")
    return "no folder sharp"


def duplicate_keys(tree: Path) -> str:
    shutil.copytree(tree / "test/GOPR0384_11_00", tree / "test/GOPR0384_11.00")
    return "both have the key GOPR0384_11_00-000001"


def other_layout(tree: Path) -> str:
    (tree / "test").rename(tree / "validation")
    return "neither a train nor a test folder"


def unreadable_file(tree: Path) -> str:
    path = tree / "test/GOPR0384_11_00/blur/000001.png"
    path.unlink()
    path.symlink_to(tree / "gone.png")
    return "cannot be read"


@pytest.mark.parametrize(
    "spoil",
    [unequal_folders, unequal_sizes, grey_picture, no_sharp_folder, duplicate_keys, other_layout, unreadable_file],
)
def test_bad_source_is_one_clear_line(tmp_path: Path, make_gopro: GoPro, run_script: Callable, spoil: Callable):
    source = make_gopro(tmp_path / "GOPRO_Large", {"test": 2})
    expected = spoil(source)
    result = run_script("prepare_gopro.py", "--source", source, "--target", tmp_path / "out", "--workers", 1)
    assert_one_line(result, expected)
    assert_nothing_left(tmp_path / "out")


def test_picture_smaller_than_the_sub_image(tmp_path: Path, make_gopro: GoPro, run_script: Callable):
    source = make_gopro(tmp_path / "GOPRO_Large", {"train": 1})
    result = run_script("prepare_gopro.py", "--source", source, "--target", tmp_path / "out", "--workers", 1)
    assert_one_line(result, "128x96 pixels, smaller than --tile 512")
    assert_nothing_left(tmp_path / "out")


def test_existing_target_is_kept(tmp_path: Path, make_gopro: GoPro, run_script: Callable):
    source = make_gopro(tmp_path / "GOPRO_Large", {"test": 1})
    (tmp_path / "out/test_sharp.lmdb").mkdir(parents=True)
    (tmp_path / "out/test_sharp.lmdb/mine").write_text("keep")
    result = run_script("prepare_gopro.py", "--source", source, "--target", tmp_path / "out")
    assert_one_line(result, "test_sharp.lmdb exists already")
    assert (tmp_path / "out/test_sharp.lmdb/mine").read_text() == "keep"
    assert len(list((tmp_path / "out").iterdir())) == 1


def test_dry_run_writes_nothing_and_is_about_right(tmp_path: Path, make_gopro: GoPro, run_script: Callable):
    source = make_gopro(tmp_path / "GOPRO_Large", {"train": 20, "test": 3})
    result = run_script("prepare_gopro.py", "--source", source, "--target", tmp_path / "out", "--dry-run", *SMALL)
    assert result.returncode == 0, result.stderr
    assert not (tmp_path / "out").exists()
    assert f"{tmp_path / 'out/train_blur.lmdb'}: about 120 pictures" in result.stdout
    size = sum(path.stat().st_size for path in source.glob("test/*/sharp/*.png"))
    assert f"about 3 pictures, {size / 1e6:.2f} MB" in result.stdout


def limit_file_size() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))


def test_file_size_limit_then_resume(tmp_path: Path, make_gopro: GoPro, run_script: Callable, contents: Callable):
    source = make_gopro(tmp_path / "GOPRO_Large", {"test": 40})
    arguments = ("prepare_gopro.py", "--source", source, "--target", tmp_path / "out", "--workers", 1)
    assert_one_line(run_script(*arguments, preexec_fn=limit_file_size), "cannot write", "free space", "--resume")
    assert not list((tmp_path / "out").glob("*.lmdb"))
    assert run_script(*arguments, "--resume").returncode == 0
    assert len(contents(tmp_path / "out/test_sharp.lmdb")[0]) == 40


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    if (
        os.geteuid()
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", disk], check=False).returncode
    ):
        pytest.skip("mounting a small tmpfs needs root")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_full_disk_then_resume(
    small_disk: Path, tmp_path: Path, make_gopro: GoPro, run_script: Callable, contents: Callable
):
    source = make_gopro(tmp_path / "GOPRO_Large", {"test": 20}, size=(360, 480))
    arguments = ("prepare_gopro.py", "--source", source, "--target", small_disk / "out", "--workers", 1)
    assert_one_line(run_script(*arguments), "free space", "--resume")
    assert not list((small_disk / "out").glob("*.lmdb"))
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    result = run_script(*arguments, "--resume")
    assert result.returncode == 0, result.stderr
    for name in ("blur", "sharp"):
        files = sorted((source / "test/GOPR0384_11_00" / name).iterdir())
        assert [value for _, value in contents(small_disk / f"out/test_{name}.lmdb")[0]] == [
            path.read_bytes() for path in files
        ]


def test_two_builds_of_one_target_do_not_mix(tmp_path: Path, make_gopro: GoPro, run_script: Callable):
    source = make_gopro(tmp_path / "GOPRO_Large", {"train": 6}, size=(300, 400))
    script = ["--source", source, "--target", tmp_path / "out", "--tile", 128, "--step", 32, "--workers", 1]
    command = [sys.executable, "datasets_prep/prepare_gopro.py", *map(str, script)]
    first = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while not (tmp_path / "out/train.partial/settings.json").exists():
        assert first.poll() is None
        time.sleep(0.005)
    assert_one_line(run_script("prepare_gopro.py", *script, "--resume"), "being built by another process")
    assert first.wait() == 0
