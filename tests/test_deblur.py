"""The command for one's own photographs. A new UMLINPlus is the identity: what comes out must be what went in."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from conftest import Run
from PIL import Image, ImageCms, ImageOps
from tiny import write_options

from uml_in_arch import checkpoints, shipped
from uml_in_arch.archs import UMLINPlus
from uml_in_arch.compare import evaluation
from uml_in_arch.deblur.__main__ import main
from uml_in_arch.deblur.jobs import plan
from uml_in_arch.errors import DataError, UserError

NETWORK = {"type": "UMLINPlus", "widths": [8, 8], "spectral_windows": [16]}
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def smooth(height: int, width: int, channels: int, bits: int = 8) -> np.ndarray:
    rng = np.random.default_rng(height * width + channels)
    picture = cv2.GaussianBlur(rng.random((height, width, channels)), (0, 0), 1.5).reshape(height, width, channels)
    picture = (picture - picture.min()) / max(np.ptp(picture), 1e-6)
    return np.round(picture * (2**bits - 1)).astype(np.uint8 if bits == 8 else np.uint16)


def write_network(folder: Path, net: torch.nn.Module, name: str = "own") -> Path:
    """A checkpoint and its option file, based on another one; its data sets do not exist."""
    torch.save({"params_ema": net.state_dict()}, folder / f"{name}.pth")
    write_options(folder / "network.yml", {"network_g": NETWORK})
    options = {
        "base": "network.yml",
        "name": name,
        "datasets": {"test": {"name": "nowhere", "type": "PairedImageDataset", "dataroot_lq": "nowhere"}},
        "path": {"pretrain_network_g": f"weights/{name}.pth", "param_key_g": "params_ema"},
        "val": {"save_img": True, "suffix": None, "tile_overlap": 16, "metrics": {"psnr": {"type": "calculate_psnr"}}},
    }
    return write_options(folder / f"{name}.yml", options)


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    return write_network(tmp_path_factory.mktemp("identity"), UMLINPlus(widths=[8, 8], spectral_windows=[16]))


@pytest.fixture(scope="module")
def changing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network whose every layer does something."""
    torch.manual_seed(0)
    net = UMLINPlus(widths=[8, 8], spectral_windows=[16])
    with torch.no_grad():
        for weight in net.parameters():
            weight.add_(torch.randn_like(weight), alpha=0.005)
    return write_network(tmp_path_factory.mktemp("changing"), net)


def save(path: Path, picture: np.ndarray, **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture.squeeze()).save(path, **options)


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "a camera"
    exif.get_ifd(0x8769)[0x829A] = 0.25
    return exif


def write_all_kinds(photos: Path) -> dict[str, np.ndarray]:
    """23 pictures, two broken ones and what is no picture; those of 16 bits are returned, RGB."""
    save(photos / "colour.png", smooth(37, 53, 3))
    save(photos / "day 1/large.png", smooth(150, 211, 3), icc_profile=PROFILE)
    save(photos / "day 1/dot.png", smooth(1, 1, 3))
    save(photos / "line.png", smooth(1, 70, 3))
    save(photos / "grey.png", smooth(20, 31, 1))
    save(photos / "grey_alpha.png", smooth(20, 30, 2))
    save(photos / "alpha.png", smooth(20, 30, 4))
    save(photos / "lossless.webp", smooth(21, 30, 3), lossless=True)
    save(photos / "a.bmp", smooth(22, 30, 3))
    save(photos / "on_its_side.tif", smooth(23, 30, 3), exif=turned(6), icc_profile=PROFILE)
    Image.fromarray(smooth(24, 30, 3)).quantize(32).save(photos / "palette.png")
    deep = {"deep.png": 3, "deep_alpha.png": 4, "deep_grey.png": 1, "deep.tiff": 3}
    deep = {f"deep/{i}/{name}": smooth(70, 90 + i, count, 16) for i, (name, count) in enumerate(deep.items())}
    for name, picture in deep.items():
        (photos / name).parent.mkdir(parents=True)
        ordered = picture[..., [2, 1, 0, 3][: picture.shape[2]]] if picture.shape[2] > 1 else picture
        assert cv2.imwrite(str(photos / name), ordered)
    for orientation in range(1, 9):
        picture = smooth(33, 46, 3 if orientation > 1 else 1)
        save(photos / f"side{orientation}.JPG", picture, quality=95, exif=turned(orientation), icc_profile=PROFILE)
    (photos / "broken.png").write_bytes((photos / "colour.png").read_bytes()[:-40])
    (photos / "cut.jpg").write_bytes((photos / "side3.JPG").read_bytes()[:-200])
    (photos / ".hidden.png").write_bytes(b"")
    (photos / "notes.txt").write_text("not a picture")
    return deep


def test_pictures_of_all_kinds_come_out_as_they_went_in(identity: Path, tmp_path: Path, run: Run) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    deep = write_all_kinds(photos)

    done = run("-m", "uml_in_arch.deblur", photos, "-o", out, "-opt", identity, "--tile", "64", cwd=tmp_path)

    assert done.returncode == 1, done.stderr
    errors = done.stderr.splitlines()
    assert [line.partition("it ")[0] for line in errors[:-1]] == [
        f"error: {photos / 'broken.png'}: ",
        f"error: {photos / 'cut.jpg'}: ",
    ]
    assert errors[-1] == "2 of 25 pictures failed"
    written = sorted(path for path in out.rglob("*") if path.is_file())
    assert sorted(done.stdout.splitlines()) == [str(path) for path in written]
    assert len(written) == 23
    for path in written:
        source = next(photos.joinpath(path.relative_to(out)).parent.glob(f"{path.stem}.*"))
        name = source.relative_to(photos).as_posix()
        result, before = Image.open(path), Image.open(source)
        before_upright = ImageOps.exif_transpose(before)
        assert result.size == before_upright.size, name
        if name in deep:
            pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            pixels = np.atleast_3d(pixels)[..., [2, 1, 0, 3][: deep[name].shape[2]]] if pixels.ndim == 3 else pixels
            assert pixels.dtype == np.uint16
            assert np.abs(pixels.squeeze().astype(int) - deep[name].squeeze()).max() <= 1, name
            continue
        mode = "RGB" if source.suffix == ".png" and before.mode == "P" else before.mode
        assert result.mode == mode, name
        difference = np.abs(np.asarray(result).astype(int) - np.asarray(before_upright.convert(mode)))
        assert difference.max() <= (12 if path.suffix == ".JPG" else 0), name
        assert difference.mean() < 2, name
        assert result.info.get("icc_profile") == before.info.get("icc_profile"), name
        if path.suffix == ".JPG":
            exif = result.getexif()
            assert (exif[0x0112], exif[0x010F], exif.get_ifd(0x8769)[0x829A]) == (1, "a camera", 0.25)


def test_tiles_show_no_seams(changing: Path, tmp_path: Path) -> None:
    picture = smooth(200, 330, 3, 16)
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    for tile in (0, 96):
        arguments = [str(tmp_path / "a.png"), "-o", str(tmp_path / f"out{tile}"), "-opt", str(changing)]
        assert main([*arguments, "--tile", str(tile)]) == 0
    whole, tiled = (cv2.imread(str(tmp_path / f"out{tile}/a.png"), -1).astype(float) / 65535 for tile in (0, 96))
    change = np.abs(whole - picture / 65535).mean()
    assert change > 0.01
    # tiles that do not start on the network's grid, or are not blended, are further off
    difference = np.abs(whole - tiled)
    assert difference.mean() < 0.02 * change
    assert (difference > 1e-4).mean() < 0.3  # inside the tiles it is the same
    for axis in (0, 1):  # steps from pixel to pixel, averaged along each row or column
        steps = np.abs(np.diff(tiled - whole, axis=axis)).mean(axis=(1 - axis, 2))
        assert steps.max() < 0.01


def test_default_weights_work_from_any_folder(
    identity: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.setattr(shipped, "weights", lambda: folder)
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "a.jpg", smooth(20, 30, 3))
    with pytest.raises(UserError, match=r"umlinplus_motion\.yml: the weights are not there; .*: -opt options/"):
        main(["a.jpg", "-o", "out"])
    write_network(folder, UMLINPlus(widths=[8, 8], spectral_windows=[16]), "umlinplus_motion")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main(["../a.jpg", "-o", "out"]) == 0
    assert capsys.readouterr().out == "out/a.jpg\n"
    (folder / "umlinplus_motion.pth").unlink()
    with pytest.raises(UserError, match=r"umlinplus_motion\.pth: there is no such checkpoint"):
        main(["../a.jpg", "-o", "out"])


def test_too_little_memory_is_one_line(
    identity: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def restore(*_: object, **__: object) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(evaluation, "restore", restore)
    save(tmp_path / "a.png", smooth(20, 30, 3))
    assert main([str(tmp_path / "a.png"), "-o", str(tmp_path / "out"), "-opt", str(identity)]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert errors == [
        f"error: {tmp_path / 'a.png'}: the memory does not suffice; use smaller tiles, --tile 640",
        "1 of 1 pictures failed",
    ]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("picture", "name", "reason"),
    [
        (Image.new("CMYK", (8, 8)), "a.jpg", "no RGB or grey picture"),
        (Image.new("F", (8, 8)), "a.tif", "no RGB or grey picture"),
        (Image.new("RGBA", (8, 8)), "png.jpg", "PNG in spite of its name"),
    ],
)
def test_unusable_pictures_are_one_line(
    identity: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], picture: Image.Image, name: str, reason: str
) -> None:
    file = io.BytesIO()
    picture.save(file, {"a.jpg": "JPEG", "a.tif": "TIFF"}.get(name, "PNG"))
    (tmp_path / name).write_bytes(file.getvalue())
    assert main([str(tmp_path / name), "-o", str(tmp_path / "out"), "-opt", str(identity)]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 2
    assert reason in errors[0]


@pytest.mark.parametrize(
    ("change", "arguments", "reason"),
    [
        ({}, ["--tile", "8"], "--tile 8: give at least 16"),
        ({}, ["--tile", "16"], "--tile 16: must be more than the tiles' overlap, 16"),
        ({"network_g": {**NETWORK, "width": 8}}, [], r"own\.yml: network_g\.width: unknown key; did you mean 'widths'"),
        ({"network_g": {**NETWORK, "in_channels": 1}}, [], r"own\.yml: network_g\.in_channels: 1, but"),
        ({"network_g": None}, [], r"own\.yml: network_g\.type: missing"),
        ({"network_g": {**NETWORK, "widths": [8, 16]}}, [], "not weights of UMLINPlus with these options"),
        ({"path": {}}, [], r"own\.yml: path\.pretrain_network_g: missing"),
        ({"val": {"tile": 8}}, [], r"own\.yml: val\.tile: found 8"),
    ],
)
def test_bad_options_are_refused_first(
    identity: Path, tmp_path: Path, change: dict[str, object], arguments: list[str], reason: str
) -> None:
    weights = {"path": {"pretrain_network_g": str(identity.with_name("own.pth"))}}
    own = write_options(tmp_path / "own.yml", {"network_g": NETWORK, "val": {"tile_overlap": 16}, **weights, **change})
    save(tmp_path / "a.png", smooth(20, 30, 3))
    with pytest.raises(UserError, match=reason):
        main([str(tmp_path / "a.png"), "-o", str(tmp_path / "out"), "-opt", str(own), *arguments])
    assert not (tmp_path / "out").exists()


def test_a_gpu_that_is_not_there(identity: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    save(tmp_path / "a.png", smooth(20, 30, 3))
    with pytest.raises(UserError, match="PyTorch finds no GPU here"):
        main([str(tmp_path / "a.png"), "-o", str(tmp_path / "out"), "-opt", str(identity), "--device", "cuda"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.jpg", "b.tif", "sub/a.jpg", "same/c.png", "same/c.tif", "text.txt"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "empty").mkdir()
    return tmp_path


def test_results_have_the_names_of_the_inputs(folder: Path) -> None:
    def planned(*inputs: str, out: str) -> dict[str, str]:
        jobs = plan([folder / name for name in inputs], folder / out)
        return {str(job.source.relative_to(folder)): str(job.target.relative_to(folder)) for job in jobs}

    (folder / "in/same/c.tif").unlink()
    everything = {f"in/{name}": f"in/out/{name}" for name in ("a.jpg", "sub/a.jpg", "same/c.png")}
    everything["in/b.tif"] = "in/out/b.png"
    assert planned("in", "in/a.jpg", out="in/out") == everything
    for target in everything.values():
        (folder / target).parent.mkdir(parents=True, exist_ok=True)
        (folder / target).touch()
    assert planned("in", out="in/out") == everything  # earlier results are no inputs


@pytest.mark.parametrize(
    ("inputs", "out", "reason"),
    [
        (["in/nothing.jpg"], "out", "no such file or folder"),
        (["in/text.txt"], "out", "no known format of pictures; convert it to one of .bmp"),
        (["empty"], "out", "no pictures in .*empty; known formats"),
        (["in"], "in", "in is the input folder itself"),
        (["in/a.jpg"], "in", "in holds the input .*a.jpg: give another folder"),
        (["in/b.tif"], "in", "in holds the input .*b.tif: give another folder"),
        (["in/sub", "in/a.jpg"], "in/same/../sub", "sub is the input folder itself"),
        (["in/a.jpg", "in/sub/a.jpg"], "out", "would both become .*a.jpg: rename"),
        (["in/same"], "out", "c.png and .*c.tif would both become .*c.png"),
        (["in/sub"], "in/a.jpg", "a.jpg is a file: give a folder"),
    ],
)
def test_impossible_jobs_are_refused(folder: Path, inputs: list[str], out: str, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        plan([folder / name for name in inputs], folder / out)


def test_default_weights_fit_their_options(tmp_path: Path) -> None:
    if not (shipped.weights() / "umlinplus_motion.yml").is_file():
        pytest.skip("there are no weights in this checkout")
    save(tmp_path / "a.png", smooth(20, 30, 3))
    assert main([str(tmp_path / "a.png"), "-o", str(tmp_path / "out")]) == 0
    assert "params_ema" in checkpoints.read(shipped.weights() / "umlinplus_motion.pth")
