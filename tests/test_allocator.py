"""Freed memory is kept: after a while a tensor costs no page faults."""

from __future__ import annotations

import platform

import pytest
from conftest import ROOT, Run

PROGRAM = """
import resource, torch
from uml_in_arch.allocator import keep_freed_memory

def faults_of_a_tensor():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.zeros(2**24)  # 64 MiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

torch.set_num_threads(1)
keep_freed_memory()
print(*(faults_of_a_tensor() for _ in range(8)))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="tells glibc only")
def test_tensors_take_the_memory_of_those_before(run: Run) -> None:
    done = run("-c", PROGRAM, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    first, *_, last = map(int, done.stdout.split())
    assert last < first / 10
