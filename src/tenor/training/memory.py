"""What a run needs of memory, and keeping the allocator from giving it back each step."""

from __future__ import annotations

import ctypes
import gc
import sys
from pathlib import Path

from torch import nn

__all__ = ["keep_freed_memory", "optimizer_bytes", "peak_bytes", "restart_peak"]

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


def keep_freed_memory() -> bool:
    """Tell glibc to keep what is freed instead of returning it to the system at once.

    A training step frees and takes the same gigabyte over and over; mapped afresh each time, every
    page of it is zeroed and faulted in again. Does nothing where there is no glibc.

    Returns:
        Whether the allocator took it.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        libc = ctypes.CDLL("libc.so.6")
        return bool(libc.mallopt(M_MMAP_MAX, 0) and libc.mallopt(M_TRIM_THRESHOLD, 1 << 30))
    except (OSError, AttributeError):
        return False


def peak_bytes() -> int:
    """The most memory this process has held so far, in bytes."""
    try:  # getrusage would count what the parent held when it started this process
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def restart_peak() -> bool:
    """Give freed memory back and let `peak_bytes` begin anew, from what is held now.

    Returns:
        Whether it does; only Linux can.
    """
    if not sys.platform.startswith("linux"):
        return False
    gc.collect()
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
    except (OSError, AttributeError):
        return False
    return True


def optimizer_bytes(model: nn.Module) -> int:
    """What AdamW adds: two fp32 moments for every trained parameter."""
    return 8 * sum(p.numel() for p in model.parameters() if p.requires_grad)
