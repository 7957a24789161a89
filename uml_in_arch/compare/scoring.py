"""Scores of one picture: registered metrics, and those of pyiqa where it is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
import torch

import uml_in_arch.toolbox  # noqa: F401  (mends BasicSR, so it comes before it)
from uml_in_arch.cli import one_line
from uml_in_arch.compare.cache import digest
from uml_in_arch.compare.options import Comparison

from basicsr.metrics import calculate_metric

Scores = dict[str, float]


class Scorer:
    """Scores pictures of one data set.

    Args:
        comparison: its metrics.
        dataset: name of the data set.
        device: where pyiqa's networks run.
    """

    def __init__(self, comparison: Comparison, dataset: str, device: torch.device) -> None:
        self.registered = comparison.metrics_of(dataset)
        self.pyiqa = {name: metric.type for name, metric in comparison.pyiqa.items()}
        self.device = device
        self.notes: list[str] = []
        self._models: dict[str, Any] = {}
        if self.pyiqa and importlib.util.find_spec("pyiqa") is None:
            self.notes.append(f"{', '.join(self.pyiqa)} left out: pyiqa is not installed")
            self.pyiqa = {}

    def __call__(self, picture: np.ndarray, truth: np.ndarray | None, known: Mapping[str, Any]) -> dict[str, Any]:
        """Score one picture.

        Args:
            picture: uint8 BGR, (H, W, 3).
            truth: the same shape, or None.
            known: what an earlier call returned for the same picture, or nothing.

        Returns:
            Metric to ``[what it was computed from, value]``, which can be kept as JSON.
        """
        scores: dict[str, Any] = {}
        seen = "" if truth is None else digest(truth)
        for name, metric in self.registered.items():
            key = digest(metric, seen)
            if known.get(name, [None])[0] == key:
                scores[name] = known[name]
            else:
                options = {option: value for option, value in metric.items() if option != "better"}
                scores[name] = [key, float(calculate_metric({"img": picture, "img2": truth}, options))]
        for name, kind in list(self.pyiqa.items()):
            key = digest(kind, seen)
            if known.get(name, [None])[0] == key:
                scores[name] = known[name]
            elif (value := self._pyiqa(name, kind, picture, truth)) is not None:
                scores[name] = [key, value]
        return scores

    def _pyiqa(self, name: str, kind: str, picture: np.ndarray, truth: np.ndarray | None) -> float | None:
        """A score of pyiqa; None where it needs a ground truth that there is not, or weights that it cannot get."""
        import pyiqa  # noqa: PLC0415 (optional, and slow to import)

        try:
            if name not in self._models:
                self._models[name] = pyiqa.create_metric(kind, device=self.device)
            model = self._models[name]
            if model.metric_mode == "FR" and truth is None:
                return None
            images = [
                _tensor(image, self.device) for image in (picture, truth)[: 2 if model.metric_mode == "FR" else 1]
            ]
            return float(model(*images))
        except Exception as error:  # a download that fails, a name it does not know: the other metrics stand
            self.notes.append(f"{name} left out: {one_line(error)}")
            del self.pyiqa[name]
            return None


def _tensor(picture: np.ndarray, device: torch.device) -> torch.Tensor:
    rgb = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
    return torch.from_numpy(rgb).permute(2, 0, 1)[None].float().div(255).to(device)
