"""Metrics, registered in BasicSR's METRIC_REGISTRY by being imported here."""

from uml_in_arch.metrics.aligned import calculate_psnr_aligned, calculate_ssim_aligned
from uml_in_arch.metrics.mse import calculate_mse
from uml_in_arch.metrics.ssim3d import calculate_ssim3d

__all__ = ["calculate_mse", "calculate_psnr_aligned", "calculate_ssim3d", "calculate_ssim_aligned"]
