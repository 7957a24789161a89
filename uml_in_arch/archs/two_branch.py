"""What both UML-IN networks share: a blur branch, a sharp branch and the U between them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from uml_in_arch.archs.blocks import GatedBlock
from uml_in_arch.errors import OptionError
from uml_in_arch.flows import ActNorm, FlowSequence, Latents, WaveletFlow
from uml_in_arch.flows.wavelet_flow import Conditioner

BranchName = Literal["blur", "sharp"]


class TrainingOutput(NamedTuple):
    """What ``forward(blur, sharp)`` returns.

    Attributes:
        deblurred: (N, C, H, W), the restored image.
        latents_blur: latents of the blurry image in the blur branch.
        latents_sharp: latents of the sharp image in the sharp branch.
        reblurred: (N, C, H, W), the sharp image blurred by the inverse way; None unless asked for.
    """

    deblurred: Tensor
    latents_blur: Latents
    latents_sharp: Latents
    reblurred: Tensor | None


class TwoBranchFlow(nn.Module, ABC):
    """Two wavelet flows of the same structure; the composite of one and the other's inverse deblurs.

    ``deblur(blur) = sharp^-1(blur_branch(blur))`` and ``reblur(sharp) = blur_branch^-1(sharp_branch(sharp))``. The
    sharp branch starts as a copy of the blur branch, taken once ActNorm has seen data: a new network is the identity.

    Args:
        in_channels: channels C of the images.
        blur_branch, sharp_branch: the flows.
    """

    def __init__(self, in_channels: int, blur_branch: WaveletFlow, sharp_branch: WaveletFlow) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.blur_branch = blur_branch
        self.sharp_branch = sharp_branch
        self.sharp_branch.load_state_dict(self.blur_branch.state_dict())

    @abstractmethod
    def _context(self, blur: Tensor | None) -> Any:
        """What the conditions need of the blurry image."""

    @abstractmethod
    def _conditions(self, branch: BranchName, context: Any) -> tuple[Conditioner, Tensor | None]:
        """The conditions of one pass through a branch: of the detail flows, and of the base flow."""

    def forward(self, blur: Tensor, sharp: Tensor | None = None, reblur: bool = False) -> Tensor | TrainingOutput:
        """Deblur a batch; with the sharp batch, also return what the latent losses need.

        Args:
            blur: (N, C, H, W), RGB or grey in [0, 1], any size.
            sharp: the same shape, for training.
            reblur: also blur the sharp batch (needs ``sharp``).

        Returns:
            The deblurred batch alone (values may leave [0, 1] slightly), or a `TrainingOutput`.

        Raises:
            ValueError: for a batch of another shape.
        """
        self._check(blur)
        if self.training:
            self._initialize(blur)
        context = self._context(blur)
        latents_blur = self._encode(blur, "blur", context)
        deblurred = self._decode(latents_blur, "sharp", context)
        if sharp is None:
            return deblurred
        self._check(sharp)
        latents_sharp = self._encode(sharp, "sharp", context)
        reblurred = self._decode(latents_sharp, "blur", context) if reblur else None
        return TrainingOutput(deblurred, latents_blur, latents_sharp, reblurred)

    def save_memory(self, enabled: bool = True) -> None:
        """Trade time for memory in training: flows are inverted and gated blocks run again in the backward pass."""
        for module in self.modules():
            if isinstance(module, FlowSequence | GatedBlock):
                module.memory_saving = enabled

    def deblur(self, blur: Tensor) -> Tensor:
        """The same as ``forward(blur)``."""
        return self(blur)

    def reblur(self, sharp: Tensor, blur: Tensor | None = None) -> Tensor:
        """Blur a sharp batch: the exact inverse of `deblur`.

        Args:
            sharp: (N, C, H, W) in [0, 1].
            blur: the blurry image that conditions the network, for `UMLINPlus` only.
        """
        return self.decode(self.encode(sharp, "sharp", blur), "blur", blur)

    def encode(self, image: Tensor, branch: BranchName, blur: Tensor | None = None) -> Latents:
        """Image (N, C, H, W) to the latents of a branch, see `reblur` for ``blur``."""
        self._check(image)
        return self._encode(image, branch, self._context(blur))

    def decode(self, latents: Latents, branch: BranchName, blur: Tensor | None = None) -> Tensor:
        """Latents to the image (N, C, H, W): the exact inverse of `encode` of the same branch and ``blur``."""
        return self._decode(latents, branch, self._context(blur))

    def _branch(self, name: BranchName) -> WaveletFlow:
        branches = {"blur": self.blur_branch, "sharp": self.sharp_branch}
        if name not in branches:
            raise ValueError(f"a branch is 'blur' or 'sharp', got {name!r}")
        return branches[name]

    def _encode(self, image: Tensor, branch: BranchName, context: Any) -> Latents:
        return self._branch(branch).encode(image, *self._conditions(branch, context))

    def _decode(self, latents: Latents, branch: BranchName, context: Any) -> Tensor:
        return self._branch(branch).decode(latents, *self._conditions(branch, context))

    def _check(self, image: Tensor) -> None:
        if image.ndim != 4 or image.shape[1] != self.in_channels:
            raise ValueError(f"the network takes (N, {self.in_channels}, H, W), got {tuple(image.shape)}")

    @torch.no_grad()
    def _initialize(self, blur: Tensor) -> None:
        """Let the blur branch's ActNorms see the first batch, then start the sharp branch as its copy."""
        norms = [module for module in self.blur_branch.modules() if isinstance(module, ActNorm)]
        if all(norm.is_initialized() for norm in norms):
            return
        self._encode(blur, "blur", self._context(blur))
        self.sharp_branch.load_state_dict(self.blur_branch.state_dict())


def per_level(name: str, value: int | list[int], num_levels: int, minimum: int = 1) -> list[int]:
    """One number per level from a number or a list, checked.

    Raises:
        OptionError: for a list of another length or a number below ``minimum``.
    """
    values = [value] * num_levels if isinstance(value, int) else list(value)
    if len(values) != num_levels:
        raise OptionError(f"{name} has {len(values)} entries for {num_levels} levels: give one number or one per level")
    if min(values) < minimum:
        raise OptionError(f"{name} must be at least {minimum}, got {min(values)}")
    return values


def check_common(in_channels: int, num_levels: int, num_steps: int, clamp: float) -> None:
    """Refuse impossible numbers with an `OptionError`."""
    if in_channels not in (1, 3):
        raise OptionError(f"in_channels is 1 (grey) or 3 (RGB), got {in_channels}")
    if not 1 <= num_levels <= 8:
        raise OptionError(f"the number of levels must be 1 to 8, got {num_levels}")
    if num_steps < 1:
        raise OptionError(f"num_steps must be at least 1, got {num_steps}")
    if not 0 < clamp <= 4:
        raise OptionError(f"clamp must be above 0 and at most 4 (a log-scale), got {clamp}")
