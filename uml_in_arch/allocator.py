"""How this process gets its memory from the operating system."""

from __future__ import annotations

import ctypes

# mallopt's parameters in glibc's malloc.h
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_NEVER = 2**31 - 1
_OLD_LIMIT = 2**25  # of glibc before 2.35


def keep_freed_memory() -> None:
    """Let glibc keep what is freed, for networks on a CPU; with another C library nothing happens.

    By default it hands every large tensor back to the kernel, to get it again page by page and filled with zeros: for a
    12-megapixel photograph that is a third of the time. What is kept costs memory, as freed blocks do not fit the next
    tensor exactly.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, TypeError, AttributeError):  # Windows, macOS, musl
        return
    if not mallopt(_MMAP_THRESHOLD, _NEVER):
        mallopt(_MMAP_THRESHOLD, _OLD_LIMIT)
    mallopt(_TRIM_THRESHOLD, _NEVER)
