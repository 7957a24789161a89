"""Colour photographs that come with scikit-image's wheel: something to train and test on with nothing downloaded."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files

import numpy as np

from uml_in_arch.data.pictures import decode
from uml_in_arch.errors import DataError, OptionError

PHOTOGRAPHS = {
    "astronaut": "astronaut.png",
    "chelsea": "chelsea.png",
    "coffee": "coffee.png",
    "hubble_deep_field": "hubble_deep_field.jpg",
    "motorcycle_left": "motorcycle_left.png",
    "motorcycle_right": "motorcycle_right.png",
    "retina": "retina.jpg",
    "rocket": "rocket.jpg",
}


@lru_cache(maxsize=len(PHOTOGRAPHS))
def load_photograph(name: str) -> np.ndarray:
    """A photograph by its name in `PHOTOGRAPHS`; never touches the network.

    Returns:
        uint8 RGB, (H, W, 3), read-only because it is shared.

    Raises:
        OptionError: There is no photograph of that name.
        DataError: The installed scikit-image does not carry the file.
    """
    if name not in PHOTOGRAPHS:
        raise OptionError(f"There is no photograph called {name!r}: choose from {', '.join(PHOTOGRAPHS)}")
    file = files("skimage") / "data" / PHOTOGRAPHS[name]
    if not file.is_file():
        raise DataError(f"The installed scikit-image lacks {PHOTOGRAPHS[name]}: reinstall scikit-image from its wheel")
    photograph = decode(file.read_bytes(), PHOTOGRAPHS[name])
    photograph.setflags(write=False)
    return photograph


class Photographs:
    """Some of the photographs as a collection (`uml_in_arch.data.pictures.Pictures`); keys are their names."""

    def __init__(self, names: Sequence[str]) -> None:
        self.keys = list(dict.fromkeys(names))
        for name in self.keys:
            load_photograph(name)

    def read(self, key: str) -> np.ndarray:
        """See `uml_in_arch.data.pictures.Pictures.read`."""
        return load_photograph(key)

    def path(self, key: str) -> str:
        """See `uml_in_arch.data.pictures.Pictures.path`."""
        return key
