"""Restores and scores all pictures of a comparison with one entry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import uml_in_arch.toolbox  # noqa: F401  (mends BasicSR, so it comes before it)
from uml_in_arch import __version__, checkpoints
from uml_in_arch.compare import cache, sources
from uml_in_arch.compare.options import Comparison, EntryOptions, MethodOptions, RestoreOptions
from uml_in_arch.compare.results import Scored
from uml_in_arch.compare.scoring import Scorer
from uml_in_arch.errors import CheckpointError, OptionError
from uml_in_arch.methods import METHOD_REGISTRY, PerImageMethod
from uml_in_arch.models.tiling import restore

from basicsr.archs import build_network
from basicsr.data import build_dataset
from basicsr.utils import tensor2img

Restorer = Callable[[Tensor], Tensor]


def build(entry: EntryOptions, device: torch.device) -> nn.Module:
    """The network of an entry in eval mode, without its checkpoint.

    Raises:
        UserError: It cannot be built.
    """
    return build_network(entry.network_g.model_dump()).to(device).eval()


def build_method(options: MethodOptions) -> PerImageMethod:
    """The per-image method of an entry.

    Raises:
        UserError: It cannot be built.
    """
    return METHOD_REGISTRY.get(options.type)(**(options.model_extra or {}))


def load_weights(net: nn.Module, entry: EntryOptions) -> None:
    """Put an entry's checkpoint into its network.

    Raises:
        CheckpointError: It is missing, broken or another network's.
    """
    path = entry.path
    file = Path(path.pretrain_network_g).expanduser()
    weights = checkpoints.weights_of(checkpoints.read(file), path.param_key_g, file)
    checkpoints.refuse_mismatch(net, weights, file, path.strict_load_g)
    if not path.strict_load_g:
        own = net.state_dict()
        weights = {key: value for key, value in weights.items() if key in own and own[key].shape == value.shape}
    net.load_state_dict(weights, strict=path.strict_load_g)


def restorer(net: nn.Module, options: RestoreOptions) -> Restorer:
    """The network with its padding or tiles."""

    @torch.no_grad()
    def run(image: Tensor) -> Tensor:
        return restore(net, image, tile=options.tile, overlap=options.tile_overlap, multiple=options.pad_multiple)

    return run


def cached_folder(comparison: Comparison, entry: EntryOptions, subject: nn.Module | PerImageMethod) -> Path:
    """Where an entry's restored pictures are kept: another checkpoint, option or source text has another folder."""
    key = cache.digest(*identity(entry, subject), *_weights(entry))
    return comparison.folder / "restored" / f"{cache.file_name(entry.arch)}_{key}"


def identity(entry: EntryOptions, subject: nn.Module | PerImageMethod) -> list[Any]:
    """Plain data that tells an entry from others, its weights aside.

    Args:
        entry: its options.
        subject: what was built from them.
    """
    if isinstance(subject, PerImageMethod):
        return [entry.method.model_dump(), sources.digest_of([type(subject)]), __version__]
    text = sources.digest_of(sources.classes_of(subject))
    return [entry.network_g.model_dump(), entry.val.model_dump(), text, __version__]


def _weights(entry: EntryOptions) -> list[str | None]:
    path = entry.path
    return [path.param_key_g, cache.file_digest(path.pretrain_network_g)] if path.pretrain_network_g else []


def evaluate(
    comparison: Comparison, run: Restorer | None, folder: Path, device: torch.device, note: Callable[[str], None]
) -> Iterator[Scored]:
    """Restore and score every picture; what is in ``folder`` already is not done again.

    Args:
        comparison: its data sets and metrics.
        run: maps (1, 3, H, W) in [0, 1] to the same; None scores the blurry input itself.
        folder: for the restored pictures and their scores.
        device: where to restore.
        note: told what the reader of the scores must know.

    Raises:
        UserError: A picture cannot be read, or the network's output is no picture of the same size.
    """
    for name, options in comparison.datasets.items():
        dataset = build_dataset(options.section(name))
        scorer = Scorer(comparison, name, device)
        for index in range(min(len(dataset), options.limit or len(dataset))):
            item = dataset[index]
            picture = picture_name(item["lq_path"], dataset.opt)
            blurry = tensor2img(item["lq"])
            truth = tensor2img(item["gt"]) if "gt" in item else None
            stem = folder / cache.file_name(name) / f"{cache.file_name(picture)}_{cache.digest(blurry)}"
            file = None if run is None else stem.with_name(f"{stem.name}.png")
            restored = blurry if file is None else cache.read_png(file)
            known = cache.read_json(stem.with_name(f"{stem.name}.json")) or {} if restored is not None else {}
            if restored is None:
                restored = tensor2img(restore_picture(run, item["lq"], device, picture))
                cache.write_png(file, restored)
            scores = scorer(restored, truth, known)
            if scores != known:
                cache.write_json(stem.with_name(f"{stem.name}.json"), scores)
            yield Scored(name, picture, {key: value for key, (_, value) in scores.items()}, file and str(file))
        for text in scorer.notes:
            note(text)


def picture_name(path: str, dataset: dict[str, Any]) -> str:
    """What a picture is called: its LMDB key, or its path in the data set's folder without the suffix."""
    root = dataset.get("dataroot_lq")
    inside = Path(path).relative_to(root) if root and Path(path).is_relative_to(root) else Path(path)
    return inside.with_suffix("").as_posix()


def restore_picture(run: Restorer, blurry: Tensor, device: torch.device, picture: str) -> Tensor:
    """Restore one picture.

    Args:
        run: maps (1, 3, H, W) in [0, 1] to the same.
        blurry: (3, H, W) in [0, 1].
        device: where to restore.
        picture: what to call it in errors.

    Returns:
        (1, 3, H, W) on ``device``; values may leave [0, 1].

    Raises:
        UserError: The network's output is no picture of the same size.
    """
    image = blurry[None].to(device)
    output = run(image)
    if not isinstance(output, Tensor) or output.shape != image.shape:
        found = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise OptionError(
            f"{picture}: {found} came back for {tuple(image.shape)}; deblurring keeps the size (upscale: 1?)"
        )
    if not torch.isfinite(output).all():
        raise CheckpointError(f"{picture}: numbers that are not finite came back; use another checkpoint or options")
    return output
