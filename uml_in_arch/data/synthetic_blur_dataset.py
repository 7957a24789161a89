"""A data set that blurs sharp pictures while it is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, TypedDict

import numpy as np
import torch
from pydantic import PositiveInt, ValidationError, model_validator
from torch.utils.data import Dataset

import uml_in_arch.toolbox  # noqa: F401  (mends BasicSR)
from uml_in_arch.data.blur import MotionBlur
from uml_in_arch.data.dataset_options import DatasetOptions
from uml_in_arch.data.exposure import Window
from uml_in_arch.data.photographs import Photographs
from uml_in_arch.data.pictures import FolderPictures, LmdbPictures, Pictures
from uml_in_arch.data.scene_blur import SceneBlur
from uml_in_arch.data.seeding import rng_for
from uml_in_arch.errors import DataError, OptionError

from basicsr.utils.registry import DATASET_REGISTRY


class Sample(TypedDict):
    """What BasicSR's models expect: two float32 RGB tensors (3, H, W) in [0, 1] and what to call them."""

    lq: torch.Tensor
    gt: torch.Tensor
    lq_path: str
    gt_path: str


class SyntheticBlurOptions(DatasetOptions):
    """The YAML keys of `SyntheticBlurDataset`.

    Attributes:
        dataroot_gt: Sharp pictures: a folder (with its subfolders), or an LMDB in BasicSR's layout (``*.lmdb``).
        photographs: Instead of ``dataroot_gt``: names of photographs that scikit-image carries.
        blur: See `MotionBlur`; one YAML key for each of its attributes. Without it and ``scene``: as it is by default.
        scene: Instead of ``blur``: blur that varies over the picture, see `SceneBlur`; likewise.
        seed: Another seed gives other crops and other blur.
        gt_size: Side of the training crops, in pixels.
        draws_per_image: How many different training samples each picture gives before the data set repeats.
        use_hflip: Flip training crops horizontally, every other time.
        use_rot: Turn training crops by 90 degrees and flip them vertically, each every other time.
    """

    dataroot_gt: str | None = None
    photographs: list[str] | None = None
    blur: MotionBlur | None = None
    scene: SceneBlur | None = None
    seed: int = 0
    gt_size: PositiveInt | None = None
    draws_per_image: PositiveInt = 1
    use_hflip: bool = True
    use_rot: bool = True

    @model_validator(mode="after")
    def _is_complete(self) -> SyntheticBlurOptions:
        if (self.dataroot_gt is None) == (not self.photographs):
            raise ValueError("give either dataroot_gt or photographs")
        if self.blur is not None and self.scene is not None:
            raise ValueError("give either blur or scene")
        if self.phase == "train" and self.gt_size is None:
            raise ValueError("training needs gt_size")
        return self


@DATASET_REGISTRY.register()
class SyntheticBlurDataset(Dataset[Sample]):
    """Sharp pictures and their motion-blurred versions.

    Training: sample ``i`` is draw ``i // n`` of picture ``i % n`` of ``n``: a random crop, flipped and blurred at
    random. Validation and test: whole pictures, each with one blur that never changes. A sample depends on the seed,
    the picture's key and the draw only: not on other samples, the order, or the number of workers.

    Args:
        opt: The data set's section of the option file, see `SyntheticBlurOptions`.

    Raises:
        OptionError: A key is unknown, missing or impossible.
        DataError: Pictures or kernels are missing; when indexed: a picture is unreadable, not 8-bit colour, or smaller
            than ``gt_size``.
    """

    Options: ClassVar[type[SyntheticBlurOptions]] = SyntheticBlurOptions

    def __init__(self, opt: Mapping[str, Any]) -> None:
        self.opt = opt  # BasicSR reads the name here
        self.options = _checked(opt)
        self.pictures = _open_pictures(self.options)
        self.scene = self.options.scene
        self.blur = self.options.blur or MotionBlur()
        _ = self.blur.given_kernels  # a missing file is reported now, not from a loader process

    def __len__(self) -> int:
        draws = self.options.draws_per_image if self.options.phase == "train" else 1
        return len(self.pictures.keys) * draws

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(index)
        draw, number = divmod(index, len(self.pictures.keys))
        key = self.pictures.keys[number]
        rng = rng_for(self.options.seed, key, draw)
        picture = self.pictures.read(key)
        if self.options.phase == "train":
            sharp, blurry = self._training_crop(picture, key, rng)
        elif self.scene is not None:
            sharp, blurry = self.scene.apply(picture, rng)
        else:
            sharp, blurry = picture, self.blur.apply(picture, rng)
        path = self.pictures.path(key)
        return {"lq": _to_tensor(blurry), "gt": _to_tensor(sharp), "lq_path": path, "gt_path": path}

    def _training_crop(self, picture: np.ndarray, key: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        size = self.options.gt_size
        height, width = picture.shape[:2]
        if min(height, width) < size:
            what = f"{self.pictures.path(key)} is {width}x{height}, smaller than gt_size {size}"
            raise DataError(f"{what}: lower gt_size or remove the picture")
        top, left = int(rng.integers(height - size + 1)), int(rng.integers(width - size + 1))
        flips = rng.random(3) < 0.5
        if self.scene is not None:
            sharp, blurry = self.scene.apply(picture, rng, Window(top, left, size, size))
        else:
            sharp, blurry = self._blurred_crop(picture, top, left, rng)
        return self._flipped(sharp, flips), self._flipped(blurry, flips)

    def _blurred_crop(
        self, picture: np.ndarray, top: int, left: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Blur no more than the crop and what the kernel reaches around it."""
        size = self.options.gt_size
        kernel = self.blur.draw_kernel(rng)
        margins = [side // 2 for side in kernel.shape]
        above, before = min(top, margins[0]), min(left, margins[1])
        window = picture[top - above : top + size + margins[0], left - before : left + size + margins[1]]
        blurry = self.blur.degrade(window, kernel, rng)[above : above + size, before : before + size]
        return picture[top : top + size, left : left + size], blurry

    def _flipped(self, image: np.ndarray, flips: np.ndarray) -> np.ndarray:
        horizontal, vertical, transposed = flips
        if self.options.use_hflip and horizontal:
            image = image[:, ::-1]
        if self.options.use_rot and vertical:
            image = image[::-1]
        if self.options.use_rot and transposed:
            image = image.transpose(1, 0, 2)
        return image


def _checked(opt: Mapping[str, Any]) -> SyntheticBlurOptions:
    try:
        return SyntheticBlurOptions.model_validate(dict(opt))
    except ValidationError as error:
        first = error.errors()[0]
        place = " ".join(["data set", str(opt.get("name", "")), ".".join(map(str, first["loc"]))]).strip()
        raise OptionError(f"{place}: {first['msg'].removeprefix('Value error, ')}") from error


def _open_pictures(options: SyntheticBlurOptions) -> Pictures:
    if options.dataroot_gt is None:
        return Photographs(options.photographs)
    if options.dataroot_gt.rstrip("/").endswith(".lmdb"):
        return LmdbPictures(options.dataroot_gt)
    return FolderPictures(options.dataroot_gt)


def _to_tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).float() / 255
