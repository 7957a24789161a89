"""Data sets, registered in BasicSR's DATASET_REGISTRY by being imported here."""

from uml_in_arch.data.synthetic_blur_dataset import SyntheticBlurDataset

__all__ = ["SyntheticBlurDataset"]
