"""What every command does before it computes: a quiet, seeded, repeatable Keras."""

import contextlib
import ctypes
import importlib.util
import logging
import os
import sys
import warnings
from collections.abc import Iterator

from recipes.compute import compiling, configuration, signals
from recipes.errors import UserError, shown

# As in glibc's malloc.h.
M_ARENA_MAX = -8
M_MMAP_THRESHOLD = -3
M_TRIM_THRESHOLD = -1
MAX_INT = 2**31 - 1


def start(seed: int) -> None:
    """Import Keras, and seed it; on TensorFlow, choose kernels that give the same numbers every time.

    Raises:
        UserError: Keras cannot be imported as the user has configured it.
    """
    configuration.check()
    keep_memory()
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it warns of a home folder that cannot be written
    try:
        with quiet_import():
            import keras
    except ImportError as error:
        raise UserError(
            f"Keras' backend cannot be imported ({shown(error)}): install it anew, or set KERAS_BACKEND."
        ) from error
    signals.raise_swallowed()
    configuration.settle()
    with silenced():  # on every backend Keras seeds TensorFlow as well, which is imported for that
        keras.utils.set_random_seed(seed)
    if keras.backend.backend() == "jax":
        compiling.keep_compiled()
        # Its numbers have 32 bits; Keras' MixUp asks for more.
        warnings.filterwarnings("ignore", "Explicitly requested dtype int64", UserWarning)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
        tf.get_logger().setLevel("ERROR")  # it warns of tracing again, which several models in one process need


def take_backend(name: str) -> None:
    """Have Keras compute on one backend, whatever the user has configured; a saved model is the same on all.

    Raises:
        UserError: it is not installed.
    """
    if not importlib.util.find_spec(name):
        raise UserError(f"This command computes on {name}, which is not installed: pip install {name}.")
    os.environ["KERAS_BACKEND"] = name


def keep_memory() -> None:
    """Let the allocator keep what one step frees for the next step.

    glibc gives large blocks back to the system, which clears every page anew when the next step asks for it: a third of the
    time of training on a CPU (benchmarks/allocator.py). TensorFlow, if nothing has been computed yet, takes its own allocator,
    the one of its GPUs, which keeps everything; glibc is told to do the same for all others.
    """
    os.environ.setdefault("TF_CPU_ALLOCATOR_USE_BFC", "true")
    with contextlib.suppress(AttributeError, OSError):
        change = ctypes.CDLL(None).mallopt
        # One arena, since those of threads give memory back whatever is set; then nothing is mapped apart, nothing trimmed.
        for parameter, value in ((M_ARENA_MAX, 1), (M_MMAP_THRESHOLD, MAX_INT), (M_TRIM_THRESHOLD, MAX_INT)):
            change(parameter, value)


@contextlib.contextmanager
def quiet_import() -> Iterator[None]:
    """Keep TensorFlow's start-up notes (no GPU found, CPU features) off the screen: they are for its developers.

    They come from C++ before any logging can be set up, so the stream itself is turned away; errors of the import are
    Python's and are not touched.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # others may use the GPU as well
    with silenced():
        import keras

        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            for gpu in tf.config.list_physical_devices("GPU"):  # the same for TensorFlow, possible only before its first use
                with contextlib.suppress(RuntimeError):
                    tf.config.experimental.set_memory_growth(gpu, True)
            tf.config.list_logical_devices()  # done here, since the first look for devices prints as well
        yield


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Turn the standard error away for the block: what libraries in C++ write there is for their developers."""
    sys.stderr.flush()
    screen = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(screen, 2)
        os.close(screen)
