"""One random generator for each (seed, key, draw), the same in every process and on every machine."""

from __future__ import annotations

import hashlib

import numpy as np


def rng_for(seed: int, key: str, draw: int = 0) -> np.random.Generator:
    """A generator that depends on nothing but its arguments, so results do not depend on the number of workers.

    Args:
        seed: The user's seed, any integer.
        key: What the randomness belongs to, for example a picture's name.
        draw: Which of the key's independent streams.

    Returns:
        A PCG64 generator seeded with the SHA-256 of the three arguments (Python's own ``hash`` differs by process).
    """
    text = f"{seed}\n{draw}\n{key}"
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "little")))
