from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Run
from tiny import make_options, write_options

from uml_in_arch import plug_in, toolbox  # noqa: F401
from uml_in_arch.errors import OptionError

import basicsr


def snapshot(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Makes checkouts: BasicSR's own tree, from the installed release."""

    def make() -> Path:
        folder = tmp_path_factory.mktemp("checkout")
        source = Path(basicsr.__file__).parent
        shutil.copytree(source, folder / "basicsr", ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "options").mkdir()
        (folder / "options/theirs.yml").write_text("name: theirs\n")
        return folder

    return make


def test_trains_there_and_leaves_no_trace(upstream: Callable[[], Path], run: Run, tmp_path: Path) -> None:
    checkout = upstream()
    before = snapshot(checkout)
    done = run("-m", "uml_in_arch.plug_in", checkout, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"--no-build-isolation --no-deps -e {checkout}" in done.stdout
    after = snapshot(checkout)
    assert before.items() <= after.items()
    assert "options/train_UMLIN_GoPro.yml" in after

    opt = make_options(tmp_path)
    opt["network_g"] = {"type": "UMLIN", "num_levels": 1, "num_steps": 1}
    opt["train"]["total_iter"] = 4
    write_options(tmp_path / "tiny.yml", opt)
    train = (checkout / "basicsr/train.py", "-opt", "tiny.yml")
    path = f"{checkout}:{Path(plug_in.__file__).parents[1]}"
    done = run(*train, cwd=tmp_path, PYTHONPATH=path)
    assert done.returncode == 0, done.stderr
    assert (checkout / "experiments/tiny/models/net_g_latest.pth").is_file()
    assert (checkout / "experiments/tiny/resolved_tiny.yml").is_file()

    done = run(*train, "--force_yml", "network_g:num_levles=2", cwd=tmp_path, PYTHONPATH=path)
    assert done.returncode == 2
    assert done.stderr.strip().splitlines() == [
        "error: tiny.yml: network_g.num_levles: unknown key; did you mean 'num_levels'?"
    ]

    shutil.rmtree(checkout / "experiments")
    removed, kept = plug_in.remove(checkout)
    assert removed
    assert not kept
    assert snapshot(checkout) == before


def test_twice_is_once(upstream: Callable[[], Path]) -> None:
    checkout = upstream()
    assert plug_in.plug_in(checkout)[0]
    after = snapshot(checkout)
    assert plug_in.plug_in(checkout) == ([], [])
    assert snapshot(checkout) == after


def test_edited_files_are_kept(upstream: Callable[[], Path]) -> None:
    checkout = upstream()
    plug_in.plug_in(checkout)
    edited = checkout / "options/train_UMLIN_GoPro.yml"
    edited.write_text(edited.read_text() + "# mine\n")
    assert plug_in.plug_in(checkout) == ([], [edited])
    assert plug_in.remove(checkout)[1] == [edited]
    assert edited.read_text().endswith("# mine\n")


def test_files_of_others_are_never_overwritten(upstream: Callable[[], Path]) -> None:
    checkout = upstream()
    (checkout / "options/train_UMLIN_GoPro.yml").write_text("name: mine\n")
    before = snapshot(checkout)
    with pytest.raises(OptionError, match=r"train_UMLIN_GoPro\.yml exists and is not ours"):
        plug_in.plug_in(checkout)
    assert snapshot(checkout) == before


def test_not_a_checkout(tmp_path: Path, run: Run) -> None:
    done = run("-m", "uml_in_arch.plug_in", tmp_path, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {tmp_path} is no BasicSR checkout")
    assert not list(tmp_path.iterdir())
