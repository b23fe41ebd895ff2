"""What every command does first."""

import platform

import pytest
from helpers import ROOT, python

FAULTS = """
import resource, threading
import numpy as np
from recipes import runtime
{keep}
def work():
    for _ in range(5):
        np.ones(10_000_000)
thread = threading.Thread(target=work)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
thread.start(); thread.join()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the allocator is not glibc's")
def test_memory_that_a_thread_frees_is_kept_for_its_next_step(tmp_path):
    plain, kept = (int(python(FAULTS.format(keep=keep), cwd=tmp_path, PYTHONPATH=str(ROOT)))
                   for keep in ("", "runtime.keep_memory()"))  # fmt: skip
    assert kept < 0.4 * plain  # pages that the system had to clear: once instead of five times
