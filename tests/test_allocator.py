"""Freed memory is kept: the second tensor of a size costs no page faults."""

from __future__ import annotations

import platform

import pytest
from conftest import Run

PROGRAM = """
import resource, torch
from uml_in_arch.allocator import keep_freed_memory

def faults_of_a_tensor():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.zeros(2**26)  # 256 MiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

torch.set_num_threads(1)
keep_freed_memory()
print(faults_of_a_tensor(), faults_of_a_tensor())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="tells glibc only")
def test_second_tensor_takes_the_memory_of_the_first(run: Run) -> None:
    done = run("-c", PROGRAM)
    assert done.returncode == 0, done.stderr
    first, second = map(int, done.stdout.split())
    assert second < first / 10
