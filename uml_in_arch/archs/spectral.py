"""First guesses of the sharp picture from local power spectra: motion blur leaves its mark there."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from uml_in_arch.archs.blocks import GatedBlock
from uml_in_arch.flows.base import full_precision

# Added to the power before its logarithm. Below it there is only rounding to 8 bits, whose power is (1/255)^2 / 12 =
# 1.3e-6 in every bin of an orthonormal transform of pixels in [0, 1].
FLOOR = 1e-5
# Brings the logarithms, whose standard deviation over the bins of a photograph is about 3, near 1.
LOG_SCALE = 0.3


class SpectralFilter(nn.Module):
    """Filters overlapping windows of a picture by gains that it reads from their power spectra.

    Blur multiplies a picture's spectrum by the kernel's, so the power spectrum of a window shows the length and the
    direction of the motion (blind deconvolution by the cepstrum starts from the same fact: Cannon, "Blind deconvolution
    of spatially invariant image blurs with phase", IEEE Trans. ASSP 24(1), 1976). A small network maps the logarithm of
    it, averaged over the neighbouring windows too, to real gains per frequency: zero-phase filters, right for the
    symmetric part of a kernel, negative gains included. The first filter is applied to every channel, the others, for
    what one gain cannot express, to their mean. Windows are tapered by the square root of a Hann window before and
    after, and add up. The gains start at 0: a new filter gives nothing.

    Args:
        channels: width of the small network.
        window: side of the windows in pixels, even; they start every half of it. Twice the longest streak or more.
        filters: how many.
    """

    taper: Tensor

    def __init__(self, channels: int, window: int, filters: int) -> None:
        super().__init__()
        self.window = window
        self.step = window // 2  # from one window to the next
        self.filters = filters
        hann = torch.hann_window(window)
        self.register_buffer("taper", torch.outer(hann, hann).sqrt(), persistent=False)
        bins = window * (window // 2 + 1)
        self.read = nn.Conv2d(bins, channels, 1)
        self.around = nn.Conv2d(channels, channels, 1)
        self.mix = GatedBlock(channels)
        self.gains = nn.Conv2d(channels, filters * bins, 1)
        nn.init.zeros_(self.gains.weight)
        nn.init.zeros_(self.gains.bias)

    def forward(self, blur: Tensor) -> Tensor:
        """What the filters make of a blurry picture (N, C, H, W) in [0, 1].

        Returns:
            (N, C + filters - 1, H, W), float32: the first filter's channels, then one channel for each of the others.
        """
        height, width = blur.shape[2:]
        with full_precision(blur):
            padded = self._padded(blur.float().contiguous())  # Fourier transforms copy any other memory format
            windows = padded.unfold(2, self.window, self.step).unfold(3, self.window, self.step)
            windows = (windows - windows.mean((4, 5), keepdim=True)).mul_(self.taper)
            spectrum = torch.fft.rfft2(windows, norm="ortho")
            grey = spectrum.mean(1, keepdim=True)
            power = torch.view_as_real(grey).square().sum(-1)  # abs would take a root first
            power = torch.log(power + FLOOR)[:, 0].flatten(3).permute(0, 3, 1, 2) * LOG_SCALE
        power = self._of_nearest_inside(power, blur.shape[2:])
        gains = self._gains(power - power.mean(1, keepdim=True))
        with full_precision(blur):
            gains = gains.float().unflatten(1, (self.filters, self.window, -1)).permute(1, 0, 4, 5, 2, 3)
            first, *others = gains.unbind()
            sources = [(channel, first) for channel in spectrum.unbind(1)]
            sources += [(grey[:, 0], gain) for gain in others]
            # one channel at a time: windows take four times the memory of the picture
            guesses = [self._added_up(source * gain) for source, gain in sources]
        return torch.stack(guesses, dim=1)[:, :, self.step : self.step + height, self.step : self.step + width]

    def _gains(self, power: Tensor) -> Tensor:
        code = self.read(power)
        code = code + self.around(F.avg_pool2d(code, 3, stride=1, padding=1, count_include_pad=False))
        return self.gains(self.mix(code))

    def _of_nearest_inside(self, power: Tensor, size: torch.Size) -> Tensor:
        """Give windows that reach over the border what the nearest one inside has.

        A mirror image turns every streak into two directions, so its spectrum says nothing about the motion.
        """
        rows, columns = ((side - self.window) // self.step + 1 for side in size)
        if min(rows, columns) < 1:
            return power
        below, right = power.shape[2] - 1 - rows, power.shape[3] - 1 - columns
        return F.pad(power[:, :, 1 : 1 + rows, 1 : 1 + columns], (1, right, 1, below), mode="replicate")

    def _padded(self, image: Tensor) -> Tensor:
        """Half a window more at the left and top, as much or more at the right and bottom: every pixel in four windows.

        The picture's mirror image, or its edge where the picture is smaller than that.
        """
        step = self.step
        height, width = image.shape[2:]
        right, bottom = (step + -side % step for side in (width, height))
        mode = "reflect" if max(step, bottom) < height and max(step, right) < width else "replicate"
        return F.pad(image, (step, right, step, bottom), mode=mode)

    def _added_up(self, spectrum: Tensor) -> Tensor:
        """Spectra of windows (N, rows, columns, P, P // 2 + 1) back to a picture (N, H, W), by overlap-add."""
        windows = torch.fft.irfft2(spectrum, (self.window, self.window), norm="ortho") * self.taper
        batch, rows, columns = windows.shape[:3]
        step = self.step
        quarters = windows.unflatten(4, (2, step)).unflatten(3, (2, step))
        picture = windows.new_zeros(batch, rows + 1, step, columns + 1, step)
        for down in (0, 1):
            for right in (0, 1):
                place = picture[:, down : down + rows, :, right : right + columns]
                place += quarters[:, :, :, down, :, right].transpose(2, 3)
        return picture.flatten(3).flatten(1, 2)
