"""Small data and options that several test files use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import lmdb
import numpy as np
import yaml


def write_lmdb(folder: Path, pictures: dict[str, bytes], shapes: dict[str, tuple[int, int, int]]) -> Path:
    """An LMDB in BasicSR's layout from encoded pictures."""
    folder.mkdir(parents=True)
    with lmdb.open(str(folder), map_size=1 << 26) as environment, environment.begin(write=True) as transaction:
        for key, data in pictures.items():
            transaction.put(key.encode(), data)
    lines = [f"{key}.png ({height},{width},{channels}) 1\n" for key, (height, width, channels) in shapes.items()]
    (folder / "meta_info.txt").write_text("".join(lines))
    return folder


def encode(picture: np.ndarray) -> bytes:
    """A PNG."""
    return cv2.imencode(".png", picture)[1].tobytes()


def write_pair(root: Path, name: str, count: int, size: int = 48) -> tuple[Path, Path]:
    """``NAME_blur.lmdb`` and ``NAME_sharp.lmdb`` of seeded smooth noise."""
    rng = np.random.default_rng(len(name))
    sharp = [cv2.GaussianBlur(rng.integers(0, 256, (size, size, 3), np.uint8), (0, 0), 1) for _ in range(count)]
    folders = []
    for kind, sigma in (("blur", 2.0), ("sharp", 0.0)):
        pictures = {f"p{i}": cv2.GaussianBlur(p, (0, 0), sigma) if sigma else p for i, p in enumerate(sharp)}
        encoded = {key: encode(picture) for key, picture in pictures.items()}
        shapes = {key: picture.shape for key, picture in pictures.items()}
        folders.append(write_lmdb(root / f"{name}_{kind}.lmdb", encoded, shapes))
    return folders[0], folders[1]


def paired_options(blur: Path, sharp: Path, name: str = "tiny") -> dict[str, Any]:
    """A ``PairedImageDataset`` section."""
    return {
        "name": name,
        "type": "PairedImageDataset",
        "dataroot_lq": str(blur),
        "dataroot_gt": str(sharp),
        "io_backend": {"type": "lmdb"},
    }


def make_options(folder: Path) -> dict[str, Any]:
    """Options that train a thousand parameters for 20 iterations, of 2 to an epoch, on the CPU; data in ``folder``."""
    loader = {"num_worker_per_gpu": 0, "batch_size_per_gpu": 2}
    crops = {"gt_size": 32, "use_hflip": True, "use_rot": True}
    return {
        "name": "tiny",
        "model_type": "SRModel",
        "scale": 1,
        "num_gpu": 0,
        "manual_seed": 0,
        "datasets": {
            "train": {**paired_options(*write_pair(folder, "train", 5)), **crops, **loader},
            "val": paired_options(*write_pair(folder, "val", 2)),
        },
        "network_g": {"type": "SRVGGNetCompact", "num_feat": 8, "num_conv": 1, "upscale": 1},
        "path": {"pretrain_network_g": None},
        "train": {
            "total_iter": 20,
            "ema_decay": 0.9,
            "optim_g": {"type": "AdamW", "lr": 0.001},
            "scheduler": {"type": "MultiStepLR", "milestones": [15], "gamma": 0.5},
            "pixel_opt": {"type": "L1Loss", "loss_weight": 1.0, "reduction": "mean"},
        },
        "val": {"val_freq": 20, "save_img": False, "metrics": {"psnr": {"type": "calculate_psnr", "crop_border": 0}}},
        "logger": {"print_freq": 5, "save_checkpoint_freq": 5, "use_tb_logger": False},
    }


def write_options(path: Path, options: dict[str, Any]) -> Path:
    """The options as a YAML file."""
    path.write_text(yaml.safe_dump(options, sort_keys=False))
    return path
