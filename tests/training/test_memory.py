import subprocess
import sys

import pytest
from torch import nn

from tenor.training.memory import optimizer_bytes


def test_optimizer_counts_what_is_trained():
    model = nn.Sequential(nn.Linear(10, 20, bias=False), nn.Linear(20, 30, bias=False))
    assert optimizer_bytes(model) == 8 * (200 + 600)
    model[0].weight.requires_grad_(False)
    assert optimizer_bytes(model) == 8 * 600


CODE = """
from tenor.training.memory import keep_freed_memory, peak_bytes
print(keep_freed_memory())
before = peak_bytes()
held = bytearray(b"x" * (200 << 20))
del held
print(peak_bytes() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks glibc")
def test_peak_and_allocator_in_a_process_of_their_own():
    found = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    taken, grown = found.stdout.split()
    assert taken in ("True", "False")  # musl has no such setting
    assert 190 << 20 < int(grown) < 450 << 20


AGAIN = """
from tenor.training.memory import keep_freed_memory, peak_bytes, restart_peak
keep_freed_memory()
held = bytearray(b"x" * (200 << 20))
del held
before = peak_bytes()
print(restart_peak(), before - peak_bytes())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks the kernel")
def test_the_peak_can_begin_anew():
    found = subprocess.run(
        [sys.executable, "-c", AGAIN], capture_output=True, text=True, check=True
    )
    restarted, less = found.stdout.split()
    assert restarted == "False" or int(less) > 150 << 20
