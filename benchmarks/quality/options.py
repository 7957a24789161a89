"""The option file of the quality bench: pictures, protocol, and the networks that compete."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from uml_in_arch import option_check, options
from uml_in_arch.errors import OptionError
from uml_in_arch.options import Section


class PhotographOptions(Section):
    """Sharp pictures.

    Keys:
        folders: searched with their subfolders.
        exclude: beginnings of file names that are left out.
        holdout: so many pictures, evenly spread over the sorted names of ``holdout_folder``, are for validation only.
        holdout_folder: one of the folders, or one inside them.
    """

    folders: list[str] = Field(min_length=1)
    exclude: list[str] = []
    holdout: PositiveInt
    holdout_folder: str


class BankOptions(Section):
    """Training pairs, blurred once and then read from memory.

    Keys:
        windows: number of pairs; every photograph gives as many as its area asks for.
        side: their side in pixels; crops are cut from them at random.
        blur, scene: keys of ``SyntheticBlurDataset``, one of the two.
        workers: processes that make them.
    """

    windows: PositiveInt
    side: PositiveInt
    blur: dict[str, Any] | None = None
    scene: dict[str, Any] | None = None
    workers: int = Field(default=2, ge=0)


class SyntheticOptions(Section):
    """A validation set: the held-out pictures, each with one blur that never changes."""

    blur: dict[str, Any] | None = None
    scene: dict[str, Any] | None = None


class PairsOptions(Section):
    """A validation set of real pairs; pictures of the two folders have the same names."""

    dataroot_lq: str
    dataroot_gt: str


class ProtocolOptions(Section):
    """What all networks have in common.

    Keys:
        crop: side of the training crops in pixels.
        batch: crops of one step.
        train: BasicSR's ``train:`` section, as `UMLINModel` takes it; ``optim_g.lr`` comes from the grid.
        learning_rates: every network is first trained with each of these for ``tuning_steps``, and then with the best.
        tuning_steps: see there; 0 takes the first learning rate.
        seeds: the whole training is repeated for each.
        channels_last: the memory format of networks and batches; quicker on CPUs.
    """

    crop: PositiveInt
    batch: PositiveInt
    train: dict[str, Any]
    learning_rates: list[PositiveFloat] = Field(min_length=1)
    tuning_steps: int = Field(default=0, ge=0)
    seeds: list[int] = Field(default=[0], min_length=1)
    channels_last: bool = True


class EntryOptions(Section):
    """One network: its options, and what its training adds to the protocol's ``train:`` (losses).

    Keys:
        pretrain_network_g: checkpoint with ``params_ema`` to start from, instead of random weights.
        strict_load_g: whether it must have all of the network's parameters and no others, of the same shapes.
    """

    network_g: dict[str, Any]
    pretrain_network_g: str | None = None
    strict_load_g: bool = True
    train: dict[str, Any] = {}


class BenchOptions(Section):
    """A whole option file.

    Keys:
        name: names the folder of the results.
        output: that folder; ``results/quality_NAME`` by default.
        device: where to train.
        threads: CPU threads of the training.
        save_every: seconds between saved training states.
        reference: the entry that the others are compared with.
        gmacs_tolerance: a network further than this share from the reference's multiply-accumulates is marked.
    """

    name: str
    output: str | None = None
    device: Literal["cpu", "cuda"] = "cpu"
    threads: PositiveInt = 1
    save_every: PositiveFloat = 120
    photographs: PhotographOptions
    bank: BankOptions
    validation: dict[str, SyntheticOptions | PairsOptions] = Field(min_length=1)
    protocol: ProtocolOptions
    entries: dict[str, EntryOptions] = Field(min_length=1)
    reference: str
    gmacs_tolerance: float = Field(default=0.05, gt=0)

    @model_validator(mode="after")
    def _fits_together(self) -> BenchOptions:
        if self.reference not in self.entries:
            raise ValueError(f"reference {self.reference!r} is none of the entries")
        if self.protocol.crop > self.bank.side:
            raise ValueError(f"crops of {self.protocol.crop} pixels do not fit into windows of {self.bank.side}")
        return self

    @property
    def folder(self) -> Path:
        """Where everything is written."""
        return Path(self.output or f"results/quality_{self.name}").expanduser()


def load(path: str | Path, overrides: tuple[str, ...] = ()) -> BenchOptions:
    """Read and check an option file.

    Raises:
        OptionError: A key is unknown, missing or has an impossible value.
    """
    content = options.load(path, overrides)
    try:
        option_check.validate(BenchOptions, content, ())
    except OptionError as error:
        raise OptionError(f"{path}: {error}") from error
    return BenchOptions.model_validate(content)
