"""SelfDeblur (Ren et al., Neural Blind Deconvolution Using Deep Priors, CVPR 2020), written from the paper.

The paper's: the two generators, their inputs, the joint ADAM steps with their rates, a picture in YCbCr deblurred in Y.
Our reading, where its description leaves a choice: downsampling by stride, leaky ReLUs of 0.2, reflected borders and
bilinear upsampling as in Deep Image Prior; non-local blocks in the three coarsest levels, with which the count of
parameters is the published code's 2.366 M (and 0.642 M for the kernel's generator at 21x21); the step from the squared
error to SSIM after a fifth of the iterations; a schedule that shrinks with the number of iterations; BT.601's luma.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from uml_in_arch.errors import DataError
from uml_in_arch.losses.ssim_loss import WINDOW, ssim_map
from uml_in_arch.methods.per_image import METHOD_REGISTRY, PerImageMethod

NUM_LEVELS = 5
NON_LOCAL_LEVELS = 3
INPUT_CHANNELS = 8
SKIP_CHANNELS = 16
KERNEL_INPUTS = 200
KERNEL_HIDDEN = 1000

IMAGE_RATE = 1e-2
KERNEL_RATE = 1e-4
HALVED_AFTER = (0.4, 0.6, 0.8)  # of all iterations: 2,000, 3,000 and 4,000 of 5,000
SSIM_AFTER = 0.2
INPUT_NOISE = 1e-3

SLOPE = 0.2
LUMA = (0.299, 0.587, 0.114)
# every level but the last halves a side that is at least 2, and the last one leaves at least 2 to reflect
SMALLEST = 2**NUM_LEVELS + 1


@METHOD_REGISTRY.register()
class SelfDeblur(PerImageMethod):
    """Fits two networks to one blurry picture: one draws the sharp picture, the other the blur kernel.

    One kernel blurs the whole picture, so camera shake by rotation and moving objects are not modelled. Kernel and
    picture may be shifted against each other: compare with the metrics up to a shift. The luma is deblurred, the
    chroma stays as it is in the blurry picture.

    Args:
        iterations: ADAM steps; 5,000 in the paper, which take minutes per picture on a GPU.
        kernel_size: height and width in pixels; must hold the blur, and is better not much larger.
        seed: of the inputs and the weights, the same for every picture.
        channels: width of the picture's generator, 128 in the paper.
    """

    def __init__(
        self,
        iterations: PositiveInt = 5000,
        kernel_size: tuple[PositiveInt, PositiveInt] = (21, 21),
        seed: int = 0,
        channels: PositiveInt = 128,
    ) -> None:
        self.iterations = iterations
        self.kernel_size = (kernel_size[0], kernel_size[1])
        self.seed = seed
        self.channels = channels

    def parameters(self) -> int:
        """Of both generators."""
        with torch.device("meta"):
            nets = (ImageGenerator(self.channels), KernelGenerator(self.kernel_size))
        return sum(parameter.numel() for net in nets for parameter in net.parameters())

    def estimates(self, blurry: Tensor) -> Iterator[Tensor]:
        """See `PerImageMethod`.

        Raises:
            DataError: The picture is too small.
        """
        weights = blurry.new_tensor(LUMA).view(1, 3, 1, 1)
        luma = (blurry * weights).sum(1, keepdim=True)
        fit = BlindFit(luma, self)
        top, left = ((side - 1) // 2 for side in self.kernel_size)
        for _ in range(self.iterations):
            fit.step()
            inside = fit.sharp[..., top : top + luma.shape[2], left : left + luma.shape[3]]
            # with Cb and Cr kept, a change of Y is the same change of R, G and B
            yield (blurry + inside - luma).clamp(0, 1)


class BlindFit:
    """The two generators in the course of being fitted to a blurry picture.

    Args:
        luma: (1, 1, H, W) in [0, 1].
        method: its constructor's arguments.

    Attributes:
        sharp: the sharp luma before the last step's update, (1, 1, H + h - 1, W + w - 1) in [0, 1] for a kernel of
            h x w: all that the blurry picture saw.
        kernel: the kernel likewise, (h, w), not negative, its sum 1.

    Raises:
        DataError: The picture is too small.
    """

    sharp: Tensor
    kernel: Tensor

    def __init__(self, luma: Tensor, method: SelfDeblur) -> None:
        height, width = (side + own - 1 for side, own in zip(luma.shape[2:], method.kernel_size, strict=True))
        if min(height, width) < SMALLEST or min(luma.shape[2:]) < WINDOW:
            raise DataError(
                f"SelfDeblur: {luma.shape[3]}x{luma.shape[2]} pixels are too few; picture plus kernel less one must be "
                f"at least {SMALLEST} on each side, the picture {WINDOW}"
            )
        self.luma = luma
        self.kernel_size = method.kernel_size
        self.done = 0
        self.ssim_from = round(SSIM_AFTER * method.iterations)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(method.seed)
            self.image_input = torch.rand(1, INPUT_CHANNELS, height, width).to(luma.device)
            self.kernel_input = torch.rand(KERNEL_INPUTS).to(luma.device)
            self.image_net = ImageGenerator(method.channels).to(luma.device)
            self.kernel_net = KernelGenerator(method.kernel_size).to(luma.device)
        self.noise = torch.Generator(luma.device).manual_seed(method.seed)
        groups = [
            {"params": self.image_net.parameters(), "lr": IMAGE_RATE},
            {"params": self.kernel_net.parameters(), "lr": KERNEL_RATE},
        ]
        self.optimizer = torch.optim.Adam(groups)
        milestones = [round(share * method.iterations) for share in HALVED_AFTER]
        self.schedule = torch.optim.lr_scheduler.MultiStepLR(self.optimizer, milestones, gamma=0.5)

    def step(self) -> float:
        """One iteration; returns its data term: the mean squared error, later 1 - SSIM."""
        noise = torch.empty_like(self.image_input).normal_(0, INPUT_NOISE, generator=self.noise)
        sharp = self.image_net(self.image_input + noise)
        kernel = self.kernel_net(self.kernel_input)
        blurred = convolve(sharp, kernel)
        squared = self.done < self.ssim_from
        loss = F.mse_loss(blurred, self.luma) if squared else 1 - ssim_map(blurred, self.luma).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.schedule.step()
        self.done += 1
        self.sharp, self.kernel = sharp.detach(), kernel.detach()
        return loss.item()


def convolve(image: Tensor, kernel: Tensor) -> Tensor:
    """True convolution where the kernel lies inside the picture, by FFT: large kernels cost no more than small ones.

    Args:
        image: (N, C, H, W).
        kernel: (h, w).

    Returns:
        (N, C, H - h + 1, W - w + 1).
    """
    size = image.shape[-2:]
    product = torch.fft.rfft2(image) * torch.fft.rfft2(kernel, s=size)
    return torch.fft.irfft2(product, s=size)[..., kernel.shape[0] - 1 :, kernel.shape[1] - 1 :]


class ImageGenerator(nn.Module):
    """Five levels down and up with narrow skips: (N, 8, H, W) to (N, 1, H, W) in [0, 1]; sides of at least 33.

    Args:
        channels: of every level.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner: nn.Module = nn.Identity()
        for level in reversed(range(NUM_LEVELS)):
            is_coarse = level >= NUM_LEVELS - NON_LOCAL_LEVELS
            inner = _Level(INPUT_CHANNELS if level == 0 else channels, channels, inner, is_coarse)
        self.levels = inner
        self.last = nn.Conv2d(channels, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Draw the picture."""
        return torch.sigmoid(self.last(self.levels(x)))


class KernelGenerator(nn.Module):
    """Fully connected: (200) to a kernel, (h, w), not negative and of sum 1.

    Args:
        size: h and w.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size
        self.hidden = nn.Linear(KERNEL_INPUTS, KERNEL_HIDDEN)
        self.last = nn.Linear(KERNEL_HIDDEN, size[0] * size[1])

    def forward(self, x: Tensor) -> Tensor:
        """Draw the kernel."""
        return self.last(F.relu6(self.hidden(x))).softmax(0).view(self.size)


class _Level(nn.Module):
    """Half the size, the coarser levels, back to the full size, joined with the skip."""

    def __init__(self, inputs: int, channels: int, inner: nn.Module, non_local: bool) -> None:
        super().__init__()
        self.skip = _conv(inputs, SKIP_CHANNELS, kernel=1)
        self.down = nn.Sequential(_conv(inputs, channels, stride=2), _conv(channels, channels))
        self.non_local = _NonLocal(channels) if non_local else nn.Identity()
        self.inner = inner
        joined = SKIP_CHANNELS + channels
        self.up = nn.Sequential(nn.BatchNorm2d(joined), _conv(joined, channels), _conv(channels, channels, kernel=1))

    def forward(self, x: Tensor) -> Tensor:
        coarse = self.inner(self.non_local(self.down(x)))
        fine = F.interpolate(coarse, scale_factor=2, mode="bilinear")[..., : x.shape[2], : x.shape[3]]
        return self.up(torch.cat([self.skip(x), fine], dim=1))


class _NonLocal(nn.Module):
    """Every pixel sees all others, weighted by a dot product (Wang et al., Non-local Neural Networks, CVPR 2018).

    The product is associative, so that of the two larger factors is never formed.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.query, self.key, self.value = (nn.Conv2d(channels, half, 1) for _ in range(3))
        self.out = nn.Conv2d(half, channels, 1)
        self.norm = nn.BatchNorm2d(channels)
        nn.init.zeros_(self.norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (layer(x).flatten(2) for layer in (self.query, self.key, self.value))
        seen = (value @ key.mT / key.shape[2]) @ query
        return x + self.norm(self.out(seen.unflatten(2, x.shape[2:])))


def _conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, padding_mode="reflect")
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.LeakyReLU(SLOPE))
