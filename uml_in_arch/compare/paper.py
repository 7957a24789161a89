"""The table of results that the paper reports, to stand beside ours."""

from __future__ import annotations

from typing import NamedTuple

WHOSE = (
    "These numbers are the paper's (Wang, Wen, Liu, Electronics 2022, 11, 2177), on its own splits of the data and "
    "with its own training; which SSIM they are is not known to us. All other numbers here were measured by this "
    "program. The paper's rivals score below what their own authors publish, so read it as a target, not as a ranking."
)
DATA_SETS = ("GoPro", "Lai", "CelebA", "LSUN")


class Reported(NamedTuple):
    """Scores that the paper reports: PSNR in dB, SSIM, and MSE of pictures in [0, 1]."""

    psnr: float
    ssim: float
    mse: float


_ROWS: dict[str, tuple[Reported, Reported, Reported, Reported]] = {
    method: tuple(Reported(*scores) for scores in row)
    for method, row in {
        "DeblurGAN": ((22.98, 0.824, 0.005), (20.36, 0.809, 0.012), (19.32, 0.801, 0.017), (22.29, 0.817, 0.004)),
        "DeblurGAN-V2": ((23.55, 0.835, 0.005), (19.59, 0.791, 0.011), (21.33, 0.828, 0.009), (22.49, 0.832, 0.005)),
        "ResCGAN": ((25.38, 0.898, 0.003), (23.42, 0.887, 0.004), (22.29, 0.839, 0.005), (24.12, 0.915, 0.008)),
        "SelfDeblur": ((23.63, 0.841, 0.004), (22.05, 0.811, 0.004), (21.85, 0.821, 0.004), (22.92, 0.835, 0.005)),
        "Tran et al.": ((31.29, 0.948, 0.002), (28.81, 0.929, 0.003), (29.23, 0.940, 0.001), (30.04, 0.943, 0.001)),
        "DED": ((30.98, 0.941, 0.002), (28.64, 0.925, 0.003), (27.15, 0.937, 0.002), (28.72, 0.959, 0.001)),
        "UML-IN": ((32.49, 0.954, 0.002), (29.35, 0.938, 0.002), (31.42, 0.943, 0.001), (32.73, 0.966, 0.001)),
        "UML-IN, no SSIM, no L1": (
            (18.98, 0.642, 0.018),
            (17.69, 0.707, 0.021),
            (20.63, 0.809, 0.010),
            (22.53, 0.826, 0.008),
        ),
        "UML-IN, SSIM only": (
            (22.16, 0.818, 0.008),
            (19.67, 0.781, 0.017),
            (24.83, 0.876, 0.005),
            (24.98, 0.894, 0.003),
        ),
        "UML-IN, L1 only": ((30.26, 0.931, 0.002), (28.32, 0.944, 0.005), (29.12, 0.913, 0.002), (31.10, 0.941, 0.002)),
    }.items()
}


def reported(data_set: str) -> dict[str, Reported]:
    """The paper's column for one of `DATA_SETS`: method to scores, in the paper's order."""
    column = DATA_SETS.index(data_set)
    return {method: row[column] for method, row in _ROWS.items()}
