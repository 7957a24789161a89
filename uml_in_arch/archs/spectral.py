"""First guesses of the sharp picture from local power spectra: motion blur leaves its mark there."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from uml_in_arch.archs.polar import DirectionBlock, PolarGrid
from uml_in_arch.flows.base import full_precision

# Added to the power before its logarithm. Below it there is only rounding to 8 bits, whose power is (1/255)^2 / 12 =
# 1.3e-6 in every bin of an orthonormal transform of pixels in [0, 1].
FLOOR = 1e-5
# Brings the logarithms, whose standard deviation over the bins of a photograph is about 3, near 1.
LOG_SCALE = 0.3
ANGLES = 16  # directions, modulo pi
RADII_PER_PIXEL = 3 / 8  # frequencies per pixel of a window's side: 24 for 64 pixels
BLOCKS = 3  # of the small network


class SpectralFilter(nn.Module):
    """Filters overlapping windows of a picture by gains that it reads from their power spectra.

    Blur multiplies a picture's spectrum by the kernel's, so the power spectrum of a window shows the length and the
    direction of the motion (blind deconvolution by the cepstrum starts from the same fact: Cannon, "Blind deconvolution
    of spatially invariant image blurs with phase", IEEE Trans. ASSP 24(1), 1976). The logarithm of the power is
    averaged over cells of direction and frequency (`PolarGrid`), in the window and in its neighbours; a small network,
    the same for every direction, maps them to real gains of the cells: zero-phase filters, right for the symmetric part
    of a kernel, negative gains included. So what is learned of motion in one direction holds for all.

    The filters are applied to the mean of the channels: several, for what one gain cannot express. Windows are tapered
    by the square root of a Hann window before and after, and add up. The gains start at 0: a new filter gives nothing.

    Args:
        channels: width of the small network.
        window: side P of the windows in pixels, even; they start every half of it. Twice the longest streak or more.
        filters: how many.
    """

    taper: Tensor

    def __init__(self, channels: int, window: int, filters: int) -> None:
        super().__init__()
        self.window = window
        self.step = window // 2  # from one window to the next
        self.filters = filters
        hann = torch.hann_window(window)
        # with the scale that makes both transforms orthonormal, which spares each a pass over the windows
        self.register_buffer("taper", torch.outer(hann, hann).sqrt() / window, persistent=False)
        radii = max(2, round(window * RADII_PER_PIXEL))
        self.grid = PolarGrid(window, ANGLES, radii)
        self.read = nn.Conv1d(2 * radii, channels, 1)
        self.blocks = nn.Sequential(*(DirectionBlock(channels) for _ in range(BLOCKS)))
        self.gains = nn.Conv1d(channels, filters * radii, 1)
        nn.init.zeros_(self.gains.weight)
        nn.init.zeros_(self.gains.bias)

    def forward(self, blur: Tensor) -> Tensor:
        """What the filters make of the detail of a blurry picture (N, C, H, W) in [0, 1].

        Returns:
            (N, filters, H, W), float32.
        """
        height, width = blur.shape[2:]
        with full_precision(blur):
            padded = self._padded(blur.float().mean(1, keepdim=True))[:, 0]
            windows = padded.unfold(1, self.window, self.step).unfold(2, self.window, self.step)
            windows = (windows - windows.mean((3, 4), keepdim=True)).mul_(self.taper)
            spectrum = torch.fft.rfft2(windows, norm="backward")
            power = torch.addcmul(spectrum.real.square(), spectrum.imag, spectrum.imag)  # abs would take a root first
            power = torch.log(power + FLOOR).flatten(3).mul_(LOG_SCALE)
            power = power - power.mean(3, keepdim=True)
            count, rows, columns, _ = power.shape
            cells = self.grid.pool(power.flatten(0, 2).t()).unflatten(1, (count, rows, columns))
            cells = self._of_nearest_inside(cells.permute(1, 0, 2, 3), blur.shape[2:])
        gains = self._gains(cells)
        with full_precision(blur):
            gains = self.grid.spread(gains.float()).t().contiguous()  # bins next to each other, as in the spectrum
            gains = gains.unflatten(0, (self.filters, count, rows, columns)).unflatten(4, (self.window, -1))
            # one filter at a time: windows take four times the memory of the picture
            guesses = [self._added_up(spectrum * gain) for gain in gains]
        return torch.stack(guesses, dim=1)[:, :, self.step : self.step + height, self.step : self.step + width]

    def _gains(self, cells: Tensor) -> Tensor:
        """Cells (N, A * R, rows, columns) of log power to gains (A * R, filters * N * rows * columns)."""
        around = F.avg_pool2d(cells, 3, stride=1, padding=1, count_include_pad=False)
        both = torch.stack([cells, around], 1).unflatten(2, (self.grid.angles, self.grid.radii))
        both = both.permute(0, 4, 5, 1, 3, 2).flatten(3, 4).flatten(0, 2)  # (windows, 2 * R, A)
        gains = self.gains(self.blocks(self.read(both))).unflatten(1, (self.filters, self.grid.radii))
        return gains.permute(3, 2, 1, 0).flatten(2, 3).flatten(0, 1)

    def _of_nearest_inside(self, cells: Tensor, size: torch.Size) -> Tensor:
        """Give windows that reach over the border what the nearest one inside has.

        A mirror image turns every streak into two directions, so its spectrum says nothing about the motion.
        """
        rows, columns = ((side - self.window) // self.step + 1 for side in size)
        if min(rows, columns) < 1:
            return cells
        below, right = cells.shape[2] - 1 - rows, cells.shape[3] - 1 - columns
        return F.pad(cells[:, :, 1 : 1 + rows, 1 : 1 + columns], (1, right, 1, below), mode="replicate")

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
        windows = torch.fft.irfft2(spectrum, (self.window, self.window), norm="forward") * self.taper
        batch, rows, columns = windows.shape[:3]
        step = self.step
        quarters = windows.unflatten(4, (2, step)).unflatten(3, (2, step))
        picture = windows.new_zeros(batch, rows + 1, step, columns + 1, step)
        for down in (0, 1):
            for right in (0, 1):
                place = picture[:, down : down + rows, :, right : right + columns]
                place += quarters[:, :, :, down, :, right].transpose(2, 3)
        return picture.flatten(3).flatten(1, 2)
