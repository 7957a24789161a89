from __future__ import annotations

import subprocess
import sys

import pytest

from uml_in_arch.data import seeding
from uml_in_arch.data.seeding import rng_for


def test_another_process_draws_the_same() -> None:
    """Whatever Python's own hash seed; the file is run by itself because importing BasicSR takes seconds."""
    code = f"""
import runpy
rng_for = runpy.run_path({seeding.__file__!r})["rng_for"]
print(rng_for(3, "né/a", 7).integers(0, 2**62, 4).tolist())
"""
    here = rng_for(3, "né/a", 7).integers(0, 2**62, 4).tolist()
    for hash_seed in ("1", "2"):
        command = [sys.executable, "-X", "utf8", "-c", code]
        there = subprocess.run(command, env={"PYTHONHASHSEED": hash_seed}, capture_output=True, text=True, check=True)
        assert there.stdout.strip() == str(here)


def test_the_stream_never_changes() -> None:
    assert rng_for(0, "coffee").integers(0, 1000, 5).tolist() == [178, 876, 634, 414, 351]


@pytest.mark.parametrize("other", [(4, "a", 7), (3, "b", 7), (3, "a", 8), (37, "a", 0)])
def test_every_argument_counts(other: tuple[int, str, int]) -> None:
    assert rng_for(3, "a", 7).integers(2**62) != rng_for(*other).integers(2**62)
