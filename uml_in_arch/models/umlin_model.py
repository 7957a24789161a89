"""Training and testing steps, registered in BasicSR as ``UMLINModel``."""

from __future__ import annotations

import inspect
import math
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import torch
import torch.distributed as dist
from pydantic import Field
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader
from tqdm import tqdm

import uml_in_arch.toolbox  # noqa: F401  (mends BasicSR, so it comes before it)
from uml_in_arch import options
from uml_in_arch.archs.two_branch import TrainingOutput, TwoBranchFlow
from uml_in_arch.errors import OptionError, TrainingDivergedError
from uml_in_arch.models.tiling import restore
from uml_in_arch.models.validation import Scores, shard, shown, table
from uml_in_arch.schedules import LinearDecayLR

from basicsr.archs import build_network
from basicsr.losses import build_loss
from basicsr.models.sr_model import SRModel
from basicsr.utils import get_root_logger, imwrite, tensor2img
from basicsr.utils.registry import ARCH_REGISTRY, MODEL_REGISTRY

# |z| below this counts as near zero; the latents start with standard deviation 1 (ActNorm)
NEAR_ZERO = 1e-2

IMAGE_LOSSES = ("pixel", "ssim", "frequency")
LATENT_LOSSES = ("similarity", "sparse", "reblur")


class SchedulerOptions(options.SchedulerOptions):
    """``train.scheduler``: one of BasicSR's, or `LinearDecayLR`."""

    type: Literal["MultiStepLR", "MultiStepRestartLR", "CosineAnnealingRestartLR", "LinearDecayLR"]


class TrainOptions(options.TrainOptions):
    """The keys of ``train:`` that `UMLINModel` knows beside BasicSR's."""

    scheduler: SchedulerOptions
    ssim_opt: dict[str, Any] | None = None
    frequency_opt: dict[str, Any] | None = None
    similarity_opt: dict[str, Any] | None = None
    sparse_opt: dict[str, Any] | None = None
    reblur_opt: dict[str, Any] | None = None
    grad_clip: float | None = Field(default=None, gt=0)
    amp: Literal["bf16"] | None = None
    accumulate: int = Field(default=1, ge=1)
    memory_saving: bool = False
    max_nonfinite_steps: int = Field(default=20, ge=1)


class ValOptions(options.ValOptions):
    """The keys of ``val:`` that `UMLINModel` knows beside BasicSR's."""

    tile: int | None = Field(default=None, ge=16)
    tile_overlap: int = Field(default=32, ge=0)
    pad_multiple: int = Field(default=1, ge=1)
    save_comparison: bool = False


@MODEL_REGISTRY.register()
class UMLINModel(SRModel):
    """Trains `UMLIN` and `UMLINPlus` with the hybrid loss, and any other network with its image losses.

    Keys of ``train:`` beside SRModel's, all optional:
        ssim_opt, frequency_opt, similarity_opt, sparse_opt, reblur_opt: losses, like ``pixel_opt``; the last three
            need a two-branch network. Each is logged on its own. A network that returns a list of images, coarse to
            fine, gives the whole list to losses with the attribute ``multi_scale`` and its last one to the others.
        grad_clip: largest norm of the gradient.
        amp: ``bf16`` runs the convolutions in bfloat16; the invertible arithmetic stays float32.
        accumulate: iterations whose gradients are averaged to one optimiser step.
        memory_saving: keep less for the backward pass and compute it again (`TwoBranchFlow.save_memory`); the result is
            the same up to rounding. For two-branch networks.
        max_nonfinite_steps: a step with a non-finite loss or gradient is skipped and counted; so many in a row end the
            training.

    ``scheduler`` may also be `LinearDecayLR`.

    Keys of ``val:`` beside SRModel's:
        tile, tile_overlap: restore in tiles of this side with this overlap, in pixels.
        pad_multiple: pad pictures up to a multiple, for networks that need it.
        save_comparison: also write blurry input, result and ground truth side by side.

    In a distributed run every rank validates its share of the pictures.
    """

    TrainOptions = TrainOptions
    ValOptions = ValOptions

    @classmethod
    def check_options(cls, opt: Mapping[str, Any]) -> None:
        """Refuse, with an `OptionError`, what no single section shows; called before anything is written."""
        train = opt.get("train") or {}
        latent = [f"{name}_opt" for name in LATENT_LOSSES if train.get(f"{name}_opt")]
        image = [name for name in (*IMAGE_LOSSES, "perceptual") if train.get(f"{name}_opt")]
        if opt["is_train"] and not latent and not image:
            raise OptionError("train: has no loss; give at least pixel_opt")
        arch = ARCH_REGISTRY.get(opt["network_g"]["type"])
        special = latent + ["memory_saving"] * bool(train.get("memory_saving"))
        if special and not (inspect.isclass(arch) and issubclass(arch, TwoBranchFlow)):
            raise OptionError(f"train: {', '.join(special)}: for UMLIN and UMLINPlus only, not for {arch.__name__}")

    def init_training_settings(self) -> None:
        """Build the EMA copy, the losses, the optimiser and the scheduler from ``train:``."""
        self.check_options(self.opt)
        train = self.opt["train"]
        self.net_g.train()
        if train.get("memory_saving"):
            self.get_bare_model(self.net_g).save_memory()
        self.amp = train.get("amp") == "bf16"
        self.grad_clip = train.get("grad_clip") or math.inf
        self.accumulate = train.get("accumulate", 1)
        self.max_nonfinite_steps = train.get("max_nonfinite_steps", 20)
        self.skipped_steps = 0
        self.nonfinite_in_a_row = 0
        self.window_is_finite = True
        self.trained_iter = 0
        self.scored: dict[str, tuple[int, dict[str, dict[str, float]]]] = {}
        self.ema_decay = train.get("ema_decay", 0)
        if self.ema_decay > 0:
            self._build_ema()
        self._build_losses(train)
        self.setup_optimizers()
        self.setup_schedulers()
        self.optimizer_g.zero_grad()

    def setup_schedulers(self) -> None:
        """BasicSR's, or `LinearDecayLR`."""
        arguments = self.opt["train"]["scheduler"]
        if arguments["type"] != "LinearDecayLR":
            super().setup_schedulers()
            return
        own = {key: value for key, value in arguments.items() if key != "type"}
        self.schedulers += [LinearDecayLR(optimizer, **own) for optimizer in self.optimizers]

    def _build_ema(self) -> None:
        self.net_g_ema = build_network(self.opt["network_g"]).to(self.device)
        load_path = self.opt["path"].get("pretrain_network_g")
        if load_path is None:
            self.model_ema(0)
        else:
            self.load_network(
                self.net_g_ema, load_path, self.opt["path"].get("strict_load_g", True), param_key="params_ema"
            )
        self.net_g_ema.eval()

    def _build_losses(self, train: dict[str, Any]) -> None:
        configured = [name for name in (*IMAGE_LOSSES, *LATENT_LOSSES) if train.get(f"{name}_opt")]
        self.losses: dict[str, nn.Module] = {
            name: build_loss(train[f"{name}_opt"]).to(self.device) for name in configured
        }
        self.cri_perceptual = (
            build_loss(train["perceptual_opt"]).to(self.device) if train.get("perceptual_opt") else None
        )
        self.needs_latents = any(name in self.losses for name in LATENT_LOSSES)

    def optimize_parameters(self, current_iter: int) -> None:
        """One iteration: forward, backward and, at the end of an accumulation window, an optimiser step."""
        self.trained_iter = current_iter
        stepping = current_iter % self.accumulate == 0
        with self._gradient_sync(stepping):
            losses, logged = self._compute_losses()
            total = sum(losses.values()) / self.accumulate
            total.backward()
        self.window_is_finite = self.window_is_finite and bool(torch.isfinite(total.detach()))
        if stepping:
            self._step(current_iter)
        self.log_dict = self.reduce_loss_dict(OrderedDict((name, value.detach()) for name, value in logged.items()))
        self.log_dict["skipped"] = self.skipped_steps

    def _gradient_sync(self, stepping: bool) -> AbstractContextManager:
        """DistributedDataParallel need not exchange gradients inside an accumulation window."""
        if isinstance(self.net_g, DistributedDataParallel) and not stepping:
            return self.net_g.no_sync()
        return nullcontext()

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.amp)

    def _compute_losses(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """All losses, and what is logged: the losses and the share of near-zero latents."""
        with self._autocast():
            output = self._forward()
        if isinstance(output, TrainingOutput):
            self.scales = [output.deblurred.float()]
        else:
            self.scales = [image.float() for image in (output if isinstance(output, list) else [output])]
        self.output = self.scales[-1]
        losses = {f"l_{name}": self._loss(name, output) for name in self.losses}
        if self.cri_perceptual is not None:
            perceptual, style = self.cri_perceptual(self.output, self.gt)
            parts = {"l_percep": perceptual, "l_style": style}
            losses |= {name: value for name, value in parts.items() if value is not None}
        logged = dict(losses)
        if isinstance(output, TrainingOutput):
            logged["near_zero"] = near_zero_share(output.latents_blur.tensors())
        return losses, logged

    def _forward(self) -> Tensor | list[Tensor] | TrainingOutput:
        if self.needs_latents:
            return self.net_g(self.lq, self.gt, reblur="reblur" in self.losses)
        return self.net_g(self.lq)

    def _loss(self, name: str, output: Tensor | list[Tensor] | TrainingOutput) -> Tensor:
        loss = self.losses[name]
        if name == "similarity":
            return loss(output.latents_blur, output.latents_sharp)
        if name == "sparse":
            return loss(output.latents_blur) + loss(output.latents_sharp)
        if name == "reblur":
            return loss(output.reblurred, self.lq)
        return loss(self.scales if getattr(loss, "multi_scale", False) else self.output, self.gt)

    def _step(self, current_iter: int) -> None:
        """Clip and step, unless something in the window was not finite on any rank."""
        norm = nn.utils.clip_grad_norm_(self.net_g.parameters(), self.grad_clip)
        finite = (torch.isfinite(norm) & self.window_is_finite).to(torch.uint8)
        if self.opt["dist"]:
            dist.all_reduce(finite, op=dist.ReduceOp.MIN)
        if finite.item():
            self.nonfinite_in_a_row = 0
            self.optimizer_g.step()
            if self.ema_decay > 0:
                self.model_ema(decay=self.ema_decay)
        else:
            self._skip(current_iter)
        self.optimizer_g.zero_grad()
        self.window_is_finite = True

    def _skip(self, current_iter: int) -> None:
        self.skipped_steps += 1
        self.nonfinite_in_a_row += 1
        get_root_logger().warning(
            f"iter {current_iter}: the loss or its gradient is not finite; step skipped "
            f"({self.nonfinite_in_a_row} in a row, {self.skipped_steps} in all)"
        )
        if self.nonfinite_in_a_row >= self.max_nonfinite_steps:
            raise TrainingDivergedError(
                f"stopped at iteration {current_iter}: {self.nonfinite_in_a_row} steps in a row were not finite. The "
                f"checkpoints in {self.opt['path']['models']} are from before; lower the learning rate or grad_clip "
                "and go on with --auto_resume"
            )

    def test(self) -> None:
        """Restore ``self.lq`` with the EMA weights if there are any, padded or tiled as ``val:`` says."""
        net = getattr(self, "net_g_ema", self.net_g)
        net = self.get_bare_model(net)
        val = self.opt.get("val") or {}
        net.eval()
        with torch.no_grad():
            self.output = restore(
                net,
                self.lq,
                tile=val.get("tile"),
                overlap=val.get("tile_overlap", 32),
                multiple=val.get("pad_multiple", 1),
            )
        self.net_g.train(self.is_train)

    def dist_validation(self, dataloader: DataLoader, current_iter: int | str, tb_logger: Any, save_img: bool) -> None:
        """Validate on all ranks together, each its share of the pictures."""
        self.nondist_validation(dataloader, current_iter, tb_logger, save_img)

    def nondist_validation(
        self, dataloader: DataLoader, current_iter: int | str, tb_logger: Any, save_img: bool
    ) -> None:
        """Restore all pictures of a loader, score input and result, log a table."""
        dataset_name = dataloader.dataset.opt["name"]
        metrics = self.opt["val"].get("metrics") or {}
        if self.is_train and self.scored.get(dataset_name, (None,))[0] == self.trained_iter:
            # BasicSR validates once more at the end of training, also where it has just done so
            self._log_scores(self.scored[dataset_name][1], current_iter, dataset_name, None)
            return
        scores = Scores(metrics, ("blurry input", "deblurred"))
        show_bar = self.opt["val"].get("pbar", False) and self.opt["rank"] == 0
        for data in tqdm(shard(dataloader), desc=dataset_name, unit="image", disable=None if show_bar else True):
            self.feed_data(data)
            self.test()
            name = Path(data["lq_path"][0]).stem
            images = {row: tensor2img([batch]) for row, batch in self.get_current_visuals().items()}
            if metrics:
                scores.add({"blurry input": images["lq"], "deblurred": images["result"]}, images.get("gt"))
            if save_img:
                self._save_pictures(images, name, dataset_name, current_iter)
            del self.lq, self.output
            self.__dict__.pop("gt", None)
        means = scores.means(self.device) if metrics else None
        if means is None:
            return
        if self.is_train:
            self.scored[dataset_name] = (self.trained_iter, means)
        self._log_scores(means, current_iter, dataset_name, tb_logger)

    def _save_pictures(
        self, images: dict[str, np.ndarray], name: str, dataset_name: str, current_iter: int | str
    ) -> None:
        """BasicSR's places: visualization/NAME/NAME_ITER.png in training, visualization/DATASET/NAME_SUFFIX.png."""
        suffix = current_iter if self.is_train else self.opt["val"].get("suffix") or self.opt["name"]
        folder = name if self.is_train else dataset_name
        stem = f"{self.opt['path']['visualization']}/{folder}/{name}_{suffix}"
        imwrite(images["result"], f"{stem}.png")
        if self.opt["val"].get("save_comparison"):
            imwrite(
                cv2.hconcat([images[row] for row in ("lq", "result", "gt") if row in images]), f"{stem}_comparison.png"
            )

    def _log_scores(
        self, means: dict[str, dict[str, float]], current_iter: int | str, dataset_name: str, tb_logger: Any
    ) -> None:
        if self.opt["rank"] != 0:
            return
        self.metric_results = means["deblurred"]
        self._initialize_best_metric_results(dataset_name)
        for metric, value in self.metric_results.items():
            self._update_best_metric_result(dataset_name, metric, value, current_iter)
        best = self.best_metric_results[dataset_name]
        lines = [f"Validation at {current_iter}", table(dataset_name, means)]
        if self.is_train:
            lines.append("Best: " + ", ".join(f"{m} {shown(best[m]['val'])} @ {best[m]['iter']}" for m in best))
        get_root_logger().info("\n".join(lines))
        if tb_logger:
            for metric, value in self.metric_results.items():
                tb_logger.add_scalar(f"metrics/{dataset_name}/{metric}", value, current_iter)


def near_zero_share(latents: tuple[Tensor, ...]) -> Tensor:
    """Share of all latents whose absolute value is below `NEAR_ZERO`, a scalar in [0, 1]."""
    near = sum((z.detach().abs() < NEAR_ZERO).sum() for z in latents)
    return near / sum(z.numel() for z in latents)
