"""Pictures of the bench: pairs of windows for training, made once; held-out pictures for validation."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from benchmarks.quality.options import BankOptions, BenchOptions, PairsOptions, PhotographOptions, SyntheticOptions
from uml_in_arch.compare.cache import digest
from uml_in_arch.data.pictures import FolderPictures, Pictures
from uml_in_arch.data.registered import SyntheticBlurDataset
from uml_in_arch.errors import DataError

Pair = tuple[Tensor, Tensor]
"""Blurry and sharp, (N, 3, H, W); uint8 in the bank, float32 in [0, 1] as a batch."""


class Bank:
    """Training pairs in memory (on a GPU, in its memory); batches are random crops of them, flipped and turned."""

    def __init__(self, blur: np.ndarray, sharp: np.ndarray, device: str) -> None:
        # a mapped file: the pages are shared between trainings on one machine
        self.blur, self.sharp = (torch.from_numpy(array) for array in (blur, sharp))
        self.device = torch.device(device)
        if self.device.type == "cuda":
            self.blur, self.sharp = self.blur.to(self.device), self.sharp.to(self.device)

    def batch(self, count: int, crop: int, rng: np.random.Generator) -> Pair:
        """``count`` random crops of ``crop`` pixels, float32 in [0, 1]."""
        side = self.blur.shape[2]
        pairs = []
        for number in rng.integers(len(self.blur), size=count):
            top, left = rng.integers(side - crop + 1, size=2)
            turns, mirrored = rng.integers(4), rng.integers(2)
            part = (int(number), slice(None), slice(top, top + crop), slice(left, left + crop))
            pair = torch.stack([self.blur[part], self.sharp[part]])
            pair = torch.rot90(pair, int(turns), (2, 3))
            pairs.append(pair.flip(3) if mirrored else pair)
        batch = torch.stack(pairs, dim=1).float() / 255
        return batch[0], batch[1]


def open_bank(options: BenchOptions) -> Bank:
    """The bank of an option file, made now if it is not there, on its device."""
    folder = make_bank(options)
    arrays = (np.load(folder / f"{name}.npy", mmap_mode="c") for name in ("blur", "sharp"))
    return Bank(*arrays, options.device)


def make_bank(options: BenchOptions) -> Path:
    """The folder of the bank; if it is not there it is made, which takes minutes."""
    training, _ = _photographs(options.photographs)
    folder = options.folder / f"bank_{digest(options.bank.model_dump(exclude={'workers'}), list(map(str, training)))}"
    if not folder.is_dir():
        _make(training, options.bank, folder)
    return folder


def validation_pairs(options: BenchOptions, name: str) -> Iterator[tuple[str, Tensor, Tensor]]:
    """The pictures of a validation set: name, blurry and sharp (1, 3, H, W) in [0, 1]."""
    chosen = options.validation[name]
    if isinstance(chosen, PairsOptions):
        blurry, sharp = FolderPictures(chosen.dataroot_lq), FolderPictures(chosen.dataroot_gt)
        for key in blurry.keys:
            yield key, *(_batch(pictures.read(key)) for pictures in (blurry, sharp))
        return
    _, held_out = _photographs(options.photographs)
    links = options.folder / f"held_out_{digest(list(map(str, held_out)))}"
    dataset = _synthetic(_linked(held_out, links), "val", chosen)
    for number in range(len(dataset)):
        sample = dataset[number]
        yield Path(sample["gt_path"]).stem, sample["lq"][None], sample["gt"][None]


def _batch(picture: np.ndarray) -> Tensor:
    return torch.from_numpy(picture.transpose(2, 0, 1)[None].copy()).float() / 255


def _photographs(options: PhotographOptions) -> tuple[list[Path], list[Path]]:
    """Paths for training and for validation."""
    folders = [FolderPictures(folder) for folder in options.folders]
    found = [Path(pictures.path(key)) for pictures in folders for key in pictures.keys]
    allowed = [path for path in found if not path.name.startswith(tuple(options.exclude))]
    candidates = [path for path in allowed if Path(options.holdout_folder) in path.parents]
    if len(candidates) < options.holdout:
        raise DataError(
            f"{options.holdout_folder} has {len(candidates)} pictures, fewer than holdout {options.holdout}"
        )
    held_out = [candidates[number * len(candidates) // options.holdout] for number in range(options.holdout)]
    return [path for path in allowed if path not in set(held_out)], held_out


def _linked(paths: list[Path], folder: Path) -> Path:
    """A folder of links to pictures, which is what a data set reads; trainings side by side may share it."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in paths:
        link = folder / f"{path.parent.name}_{path.name}"
        with suppress(FileExistsError):
            link.symlink_to(path.resolve())
    return folder


def _synthetic(
    folder: Path, phase: str, options: BankOptions | SyntheticOptions, **training: int
) -> SyntheticBlurDataset:
    kind = {name: value for name in ("blur", "scene") if (value := getattr(options, name)) is not None}
    section = {"name": "quality", "type": "SyntheticBlurDataset", "phase": phase, "dataroot_gt": str(folder)}
    return SyntheticBlurDataset({**section, **kind, **training})


class _Windows(Dataset):
    """Some training samples of a data set, as uint8."""

    def __init__(self, dataset: SyntheticBlurDataset, samples: list[int]) -> None:
        self.dataset, self.samples = dataset, samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Tensor:
        sample = self.dataset[self.samples[index]]
        return (torch.stack([sample["lq"], sample["gt"]]) * 255).round().byte()


def _by_area(pictures: Pictures, windows: int) -> list[int]:
    """Indices of training samples: of each picture so many draws as its share of all pixels asks for."""
    areas = [math.prod(pictures.read(key).shape[:2]) for key in pictures.keys]
    ends = np.rint(np.cumsum(areas) / sum(areas) * windows).astype(int)
    draws = np.diff(ends, prepend=0)
    return [draw * len(areas) + number for number, count in enumerate(draws.tolist()) for draw in range(count)]


def _make(photographs: list[Path], options: BankOptions, folder: Path) -> None:
    stage = folder.with_name(f".{folder.name}")
    links = _linked(photographs, stage / "photographs")
    dataset = _synthetic(links, "train", options, gt_size=options.side, draws_per_image=options.windows)
    samples = _by_area(dataset.pictures, options.windows)
    windows = DataLoader(_Windows(dataset, samples), batch_size=8, num_workers=options.workers)
    shape = (options.windows, 3, options.side, options.side)
    arrays = [np.lib.format.open_memmap(stage / f"{name}.npy", "w+", np.uint8, shape) for name in ("blur", "sharp")]
    start = 0
    for pairs in tqdm(windows, desc="blurring windows", unit="batch", disable=None):
        for array, values in zip(arrays, pairs.unbind(1), strict=True):
            array[start : start + len(pairs)] = values.numpy()
        start += len(pairs)
    for array in arrays:
        array.flush()
    shutil.rmtree(links)
    os.replace(stage, folder)
