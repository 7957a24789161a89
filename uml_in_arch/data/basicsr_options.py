"""The option keys of BasicSR's data sets for pictures, which BasicSR itself does not check."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, PositiveInt, model_validator

from uml_in_arch.data.dataset_options import DatasetOptions


class IoBackend(BaseModel):
    """Where pictures are read from: ``disk`` or ``lmdb``."""

    model_config = ConfigDict(extra="forbid")
    type: Literal["disk", "lmdb"]


class SingleImageOptions(DatasetOptions):
    """The keys of ``SingleImageDataset``: pictures without ground truth."""

    scale: PositiveInt = 1
    dataroot_lq: str
    meta_info_file: str | None = None
    io_backend: IoBackend
    mean: list[float] | None = None
    std: list[float] | None = None
    color: Literal["y"] | None = None

    @model_validator(mode="after")
    def _has_lmdbs(self) -> SingleImageOptions:
        for key, root in self:
            if not key.startswith("dataroot"):
                continue
            if (self.io_backend.type == "lmdb") != root.endswith(".lmdb"):
                raise ValueError(f"io_backend.type is {self.io_backend.type}, which does not fit {key}: {root}")
        return self


class PairedImageOptions(SingleImageOptions):
    """The keys of ``PairedImageDataset``."""

    scale: PositiveInt
    dataroot_gt: str
    filename_tmpl: str = "{}"
    gt_size: PositiveInt | None = None
    use_hflip: bool | None = None
    use_rot: bool | None = None

    @model_validator(mode="after")
    def _can_train(self) -> PairedImageOptions:
        missing = [key for key in ("gt_size", "use_hflip", "use_rot") if getattr(self, key) is None]
        if self.phase == "train" and missing:
            raise ValueError(f"training needs {', '.join(missing)}; add it")
        return self


SCHEMAS: dict[str, type[DatasetOptions]] = {
    "PairedImageDataset": PairedImageOptions,
    "SingleImageDataset": SingleImageOptions,
}
