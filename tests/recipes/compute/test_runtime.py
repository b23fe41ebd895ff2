"""What every command does first."""

import platform

import pytest
from helpers import ROOT, python

HELD = """
import ctypes, threading
from recipes.compute import runtime
{keep}
class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in
                "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()]
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.mallinfo2.restype = ctypes.c_void_p, Info
libc.malloc.argtypes, libc.free.argtypes = [ctypes.c_size_t], [ctypes.c_void_p]
def work():
    block = libc.malloc({size})
    print(libc.mallinfo2().hblkhd)  # bytes that are mapped, each block by itself
    libc.free(block)
thread = threading.Thread(target=work)
thread.start(); thread.join()
print(libc.mallinfo2().arena)
"""
SIZE = 200_000_000


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the allocator is not glibc's")
@pytest.mark.parametrize("keep", [False, True])
def test_memory_that_a_thread_frees_is_kept_for_its_next_step(keep, tmp_path):
    code = HELD.format(keep="runtime.keep_memory()" if keep else "", size=SIZE)
    mapped, arena = map(int, python(code, cwd=tmp_path, PYTHONPATH=str(ROOT)).split())
    assert (mapped < SIZE) == keep and (arena > SIZE) == keep
