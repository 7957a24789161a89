"""What a method that deblurs each picture by itself offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

import uml_in_arch.toolbox  # noqa: F401  (mends BasicSR, so it comes before it)

from basicsr.utils.registry import Registry

METHOD_REGISTRY = Registry("method")


class PerImageMethod(ABC):
    """Deblurs a picture from nothing but that picture: there is no training and no checkpoint.

    A YAML key is an argument of the constructor. The result must depend on these arguments and the picture only, so
    whatever is random takes a seed.

    Attributes:
        iterations: how many estimates come; 1 for a method that does not iterate.
    """

    iterations: int

    @abstractmethod
    def parameters(self) -> int:
        """How many numbers are fitted to each picture."""

    @abstractmethod
    def estimates(self, blurry: Tensor) -> Iterator[Tensor]:
        """The sharp picture as it is known after each iteration; the last one is the result.

        Args:
            blurry: (1, 3, H, W), RGB in [0, 1]. Gradients are on.

        Yields:
            The same shape and range, without a gradient, `iterations` times.
        """

    def restore(self, blurry: Tensor, progress: Callable[[int], None] | None = None) -> Tensor:
        """The last of the `estimates`; ``progress`` is told the number of iterations done, after each."""
        restored = blurry
        with torch.enable_grad():
            for done, restored in enumerate(self.estimates(blurry), 1):  # noqa: B007 (the last one is wanted)
                if progress:
                    progress(done)
        return restored
