"""The two UML-IN networks, registered in BasicSR as ``UMLIN`` and ``UMLINPlus``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import Tensor

import uml_in_arch.toolbox  # noqa: F401  (mends BasicSR, so it comes before it)
from uml_in_arch.archs.context import Context, ContextDecoder, ContextEncoder
from uml_in_arch.archs.two_branch import BranchName, TwoBranchFlow, check_common, per_level
from uml_in_arch.errors import OptionError
from uml_in_arch.flows import (
    AffineCoupling,
    FeatureCoupling,
    FlowSequence,
    Latents,
    WaveletFlow,
    conv_subnet,
    flow_steps,
)
from uml_in_arch.flows.wavelet_flow import Conditioner

from basicsr.utils.registry import ARCH_REGISTRY


@ARCH_REGISTRY.register()
class UMLIN(TwoBranchFlow):
    """UML-IN as we read the paper: each level's flow is conditioned on the same branch's low band.

    The conditioning is Wavelet Flow's; the couplings are Glow's plain convolutional networks. The equations and layer
    sizes of the paper are not available to us.

    Args:
        in_channels: 3 (RGB) or 1 (grey).
        num_levels: wavelet levels L.
        num_steps: flow steps K per level.
        hidden_channels: width of the couplings' networks, one number or one per level, finest first; the base flow
            takes the last.
        clamp: bound of the couplings' log-scales.

    Raises:
        OptionError: for numbers that make no network.
    """

    def __init__(
        self,
        in_channels: int = 3,
        num_levels: int = 4,
        num_steps: int = 8,
        hidden_channels: int | Sequence[int] = 64,
        clamp: float = 1.0,
    ) -> None:
        check_common(in_channels, num_levels, num_steps, clamp)
        hidden = per_level("hidden_channels", hidden_channels, num_levels)

        def branch() -> WaveletFlow:
            def flow(channels: int, cond_channels: int, width: int) -> FlowSequence:
                coupling = partial(AffineCoupling, subnet=conv_subnet(width), clamp=clamp)
                return flow_steps(channels, cond_channels, num_steps, coupling)

            details = [flow(3 * in_channels, in_channels, width) for width in hidden]
            return WaveletFlow(details, flow(in_channels, 0, hidden[-1]))

        super().__init__(in_channels, branch(), branch())

    def _context(self, blur: Tensor | None) -> None:
        return None

    def _conditions(self, branch: BranchName, context: None) -> tuple[Conditioner, None]:
        return lambda level, low: low / 2**level, None  # the low band of l levels is 2^l times the average


@ARCH_REGISTRY.register()
class UMLINPlus(TwoBranchFlow):
    """Our UML-IN: the flows are conditioned on features of the blurry image.

    A context network runs over the Haar bands of the blurry image and of first guesses that filters make from local
    power spectra. The blur branch sees its features on the way down, the sharp branch those on the way up, where the
    sharp low band of each level joins in. The sharp branch begins by taking the first guess off the image, so that
    decoding ends by adding it: the filters learn from the first step on. Both branches are exactly invertible given
    the blurry image. Their couplings are linear in the condition, since it is a deep feature, and move every channel.

    Args:
        in_channels: 3 (RGB) or 1 (grey).
        widths: context channels per level, finest (half resolution) first; its length is the number of levels.
        encoder_blocks: gated blocks per level on the way down, one number or one per level.
        decoder_blocks: gated blocks per level on the way up, likewise.
        num_steps: flow steps K per level.
        clamp: bound of the couplings' log-scales.
        spectral_channels: width of the networks that read the power spectra.
        spectral_windows: sides of their windows in pixels, even; twice the longest streak or more.
        spectral_filters: number of guesses from each size of windows.

    Raises:
        OptionError: for numbers that make no network.
    """

    def __init__(
        self,
        in_channels: int = 3,
        widths: Sequence[int] = (32, 64, 128, 256),
        encoder_blocks: int | Sequence[int] = 1,
        decoder_blocks: int | Sequence[int] = 1,
        num_steps: int = 1,
        clamp: float = 1.0,
        spectral_channels: int = 32,
        spectral_windows: Sequence[int] = (64,),
        spectral_filters: int = 3,
    ) -> None:
        num_levels = len(widths)
        check_common(in_channels, num_levels, num_steps, clamp)
        if min(spectral_channels, spectral_filters) < 1:
            raise OptionError("spectral_channels and spectral_filters must be at least 1")
        if not spectral_windows or any(window < 4 or window % 2 for window in spectral_windows):
            raise OptionError(f"spectral_windows must be even and at least 4, got {list(spectral_windows)}")
        widths = per_level("widths", list(widths), num_levels)

        def branch() -> WaveletFlow:
            def flow(channels: int, cond_channels: int) -> FlowSequence:
                return flow_steps(channels, cond_channels, num_steps, partial(FeatureCoupling, clamp=clamp))

            return WaveletFlow([flow(3 * in_channels, width) for width in widths], flow(in_channels, widths[-1]))

        super().__init__(in_channels, branch(), branch())
        encoder_counts = per_level("encoder_blocks", encoder_blocks, num_levels, minimum=0)
        decoder_counts = per_level("decoder_blocks", decoder_blocks, num_levels, minimum=0)
        self.context_encoder = ContextEncoder(
            in_channels, widths, encoder_counts, spectral_channels, spectral_windows, spectral_filters
        )
        self.context_decoder = ContextDecoder(in_channels, widths, decoder_counts)

    def encode(self, image: Tensor, branch: BranchName, blur: Tensor | None = None) -> Latents:
        """As `TwoBranchFlow.encode`; a blurry image that goes through its own branch conditions itself."""
        return super().encode(image, branch, image if blur is None and branch == "blur" else blur)

    def _encode(self, image: Tensor, branch: BranchName, context: Context) -> Latents:
        return super()._encode(image - context.guess if branch == "sharp" else image, branch, context)

    def _decode(self, latents: Latents, branch: BranchName, context: Context) -> Tensor:
        image = super()._decode(latents, branch, context)
        return image + context.guess if branch == "sharp" else image

    def _context(self, blur: Tensor | None) -> Context:
        if blur is None:
            raise ValueError("UMLINPlus is conditioned on the blurry image: pass it as blur=")
        self._check(blur)
        return self.context_encoder(blur)

    def _conditions(self, branch: BranchName, context: Context) -> tuple[Conditioner, Tensor]:
        features = context.features
        if branch == "blur":
            return lambda level, low: features[level - 1], features[-1]
        coarser = None

        def condition(level: int, low: Tensor) -> Tensor:
            nonlocal coarser
            coarser = self.context_decoder(level, low, features[level - 1], coarser)
            return coarser

        return condition, features[-1]
