from __future__ import annotations

import fcntl
import os
import pty
import shutil
import struct
import subprocess
import sys
import termios
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT, Run
from tiny import encode, make_options, write_lmdb, write_options

from uml_in_arch import checkpoints

TRAIN = "basicsr/train.py"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with the launchers, tiny options and data."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "basicsr", folder / "basicsr", ignore=shutil.ignore_patterns("__pycache__"))
    write_options(folder / "tiny.yml", make_options(folder))
    return folder


def torchrun(folder: Path, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", TRAIN]
    return subprocess.run(
        [*command, "-opt", "tiny.yml", "--launcher", "pytorch", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_two_processes_on_the_cpu(project: Path, environment: dict[str, str]) -> None:
    # no EMA: rank 0 then validates with the network that is wrapped for distributed training
    done = torchrun(project, environment, "--force_yml", "name=two", "train:ema_decay=0", "train:total_iter=6")
    assert done.returncode == 0, done.stderr
    assert "World size (gpu number): 2" in done.stderr
    assert "# psnr:" in done.stderr
    assert {"params"} == checkpoints.read(project / "experiments/two/models/net_g_latest.pth").keys()


def test_error_in_one_process_ends_both(project: Path, environment: dict[str, str], tmp_path: Path) -> None:
    good = encode(np.zeros((48, 48, 3), np.uint8))
    shapes = dict.fromkeys("abcd", (48, 48, 3))
    sharp = write_lmdb(tmp_path / "sharp.lmdb", dict.fromkeys("abcd", good), shapes)
    blur = write_lmdb(tmp_path / "blur.lmdb", {"a": good, "b": good, "c": b"nonsense", "d": good}, shapes)
    roots = [f"datasets:train:dataroot_lq={blur}", f"datasets:train:dataroot_gt={sharp}"]
    done = torchrun(project, environment, "--force_yml", "name=bad", *roots)
    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert lines
    assert "picture 'c' in" in lines[0]


def test_bar_in_a_terminal(project: Path, environment: dict[str, str]) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    process = subprocess.Popen(
        [sys.executable, TRAIN, "-opt", "tiny.yml", "--force_yml", "name=bar", "train:total_iter=7", "--local-rank=0"],
        cwd=project,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            shown += os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
    os.close(ours)
    assert process.wait() == 0
    text = shown.decode()
    assert "7/7" in text
    assert "l_pix=" in text
    # log lines stand in lines of their own
    assert any(line.strip().endswith("Save the latest model.") for line in text.splitlines())


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["train:optim_g:lr=fast"], "error: tiny.yml: train.optim_g.lr: found 'fast'"),
        (["datasets:train:dataroot_lq=datasets/GoPro/train_blur.lmdb"], "run datasets_prep/prepare_gopro.py"),
    ],
)
def test_user_errors_write_nothing(project: Path, run: Run, arguments: list[str], expected: str) -> None:
    done = run(TRAIN, "-opt", "tiny.yml", "--force_yml", "name=refused", *arguments, cwd=project)
    assert done.returncode == 2
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (project / "experiments/refused").exists()


def test_launcher_without_torchrun(project: Path, run: Run) -> None:
    done = run(TRAIN, "-opt", "tiny.yml", "--launcher", "pytorch", cwd=project)
    assert done.returncode == 2
    assert "torchrun --nproc_per_node=N" in done.stderr


def test_missing_basicsr_is_one_line(project: Path, run: Run, tmp_path: Path) -> None:
    packages = Path(torch.__file__).parents[1]
    for entry in packages.iterdir():
        if not entry.name.startswith("basicsr") and entry.suffix != ".pth":
            (tmp_path / entry.name).symlink_to(entry)
    code = (
        f"import runpy, sys; sys.path[:] = [p for p in sys.path if p != {str(packages)!r}] + [{str(tmp_path)!r}];"
        f"sys.argv[0] = {str(project / TRAIN)!r}; sys.path.insert(0, 'basicsr');"
        f"runpy.run_path({str(project / TRAIN)!r}, run_name='__main__')"
    )
    done = run("-S", "-c", code, cwd=project)
    assert done.returncode != 0
    assert "BasicSR is not installed; run: pip install basicsr==1.4.2" in done.stderr.splitlines()[-1]
