"""A trained network that restores photographs of any size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import uml_in_arch.compare.registries  # noqa: F401  (what an option file may name)
from uml_in_arch import option_check, options, shipped
from uml_in_arch.compare import evaluation
from uml_in_arch.compare.cost import choose_device
from uml_in_arch.compare.options import EntryOptions, entry_of
from uml_in_arch.deblur.photograph import Photograph
from uml_in_arch.errors import CheckpointError, DataError, OptionError
from uml_in_arch.models.tiling import count_tiles

DEFAULT_OPTIONS = "umlinplus_motion.yml"
# restores GoPro's 1280x720 whole, as in validation
DEFAULT_TILE = 1280


class Deblurrer:
    """Restores photographs with a network.

    Args:
        file: An option file with ``network_g`` and ``path``; of ``val`` it uses how pictures are padded or tiled, of
            the rest nothing. None is the one of the weights that come with uml_in_arch.
        tile: Largest side of the tiles in pixels; 0 restores pictures whole; None does as the option file says, with
            ``DEFAULT_TILE`` where it says nothing.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        OptionError: The options cannot work.
        CheckpointError: The checkpoint is missing, broken or another network's.
    """

    def __init__(self, file: Path | None, tile: int | None, device: str) -> None:
        if device == "cuda" and not torch.cuda.is_available():
            raise OptionError("--device cuda: PyTorch finds no GPU here; use cpu")
        self.device = choose_device(device)
        entry = _read(file or _default_options())
        self.val = entry.val.model_copy(update={"tile": _tile(tile, entry.val.tile)})
        if self.val.tile is not None and self.val.tile_overlap >= self.val.tile:
            raise OptionError(f"--tile {self.val.tile}: must be more than the tiles' overlap, {self.val.tile_overlap}")
        self.net = evaluation.build(entry, self.device)
        evaluation.load_weights(self.net, entry)

    def __call__(self, photograph: Photograph, name: str, note: Callable[[str], None]) -> Photograph:
        """Restore a photograph; transparency, profile and EXIF stay as they are, grey stays grey.

        Args:
            photograph: of any size.
            name: what to call it in errors.
            note: told which tile comes next, as ``tile 2/12``.

        Raises:
            UserError: The memory does not suffice, or the network does not return a picture of this size.
        """
        height, width = photograph.colour.shape[:2]
        count = count_tiles(height, width, tile=self.val.tile, overlap=self.val.tile_overlap)
        numbers = iter(range(1, count + 1))

        def net(tile: Tensor) -> Tensor:
            note(f"tile {next(numbers)}/{count}")
            return self.net(tile)

        largest = np.iinfo(photograph.colour.dtype).max
        blurry = torch.from_numpy(photograph.colour.astype(np.float32) / largest).permute(2, 0, 1).expand(3, -1, -1)
        try:
            run = evaluation.restorer(net, self.val)
            restored = evaluation.restore_picture(run, blurry, self.device, name)[0].cpu()
        except RuntimeError as error:
            if not _is_out_of_memory(error):
                raise
            smaller = max((self.val.tile or min(height, width)) // 2, 2 * self.val.tile_overlap, 64)
            raise DataError(f"{name}: the memory does not suffice; use smaller tiles, --tile {smaller}") from error
        if photograph.colour.shape[2] == 1:
            restored = restored.mean(0, keepdim=True)
        pixels = restored.clamp(0, 1).mul(largest).round().permute(1, 2, 0).numpy()
        return replace(photograph, colour=pixels.astype(photograph.colour.dtype))


def _default_options() -> Path:
    file = shipped.weights() / DEFAULT_OPTIONS
    if not file.is_file():
        raise CheckpointError(
            f"{file}: the weights are not there; get a whole checkout of uml_in_arch, or name your own network's test "
            "file: -opt options/test_UMLINPlus_GoPro.yml"
        )
    return file


def _read(file: Path) -> EntryOptions:
    """The options of a network, with the path of its checkpoint."""
    content = entry_of(options.load(file))
    try:
        option_check.validate(EntryOptions, content, ())
        entry = EntryOptions.model_validate(content)
        if entry.network_g is None:
            raise OptionError("network_g: missing; name the network, or use a test file")
        if not entry.path.pretrain_network_g:
            raise OptionError("path.pretrain_network_g: missing; name the checkpoint, or use a test file")
        network = entry.network_g.model_dump()
        option_check.check_network(network)
        if network.get("in_channels", 3) != 3:
            raise OptionError(f"network_g.in_channels: {network['in_channels']}, but photographs have 3; use another")
    except OptionError as error:
        raise OptionError(f"{file}: {error}") from error
    weights = _weights(file, entry.path.pretrain_network_g)
    return entry.model_copy(update={"path": entry.path.model_copy(update={"pretrain_network_g": str(weights)})})


def _weights(file: Path, name: str) -> Path:
    """A checkpoint's path: as in training from the current folder, or else beside the option file."""
    path = Path(name).expanduser()
    beside = file.expanduser().parent / path.name
    return beside if beside.is_file() and not path.is_file() else path


def _tile(wanted: int | None, configured: int | None) -> int | None:
    if wanted is None:
        return configured or DEFAULT_TILE
    if wanted != 0 and wanted < 16:
        raise OptionError(f"--tile {wanted}: give at least 16 pixels, or 0 to restore pictures whole")
    return wanted or None


def _is_out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.cuda.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)
