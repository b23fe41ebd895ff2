"""A frozen network on a cluster, by Ray Data: actors hold it, and compute what is read on the machine that asks for it.

Nothing needs to lie on the other machines but this project in the same version: pictures and weights travel through Ray's
store of objects, and what was computed comes back, in the order in which it was asked for. An actor that is killed is begun
again by Ray, which also has done again what it was at.
"""

import contextlib
import os
import pickle
import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

import zoo
from recipes.compute import engines, runtime, signals
from recipes.compute.engines import CALLERS, Engine
from recipes.compute.machine import cores
from recipes.compute.pipeline import in_order
from recipes.compute.processes import clearest_line
from recipes.errors import UserError, shown

if TYPE_CHECKING:
    import keras

LOCAL = "local"
# Parts that are read at once: they come from one disk, while others are computed.
READERS = 2
CONNECT_SECONDS = 5.0
# What Ray is told by its environment. It listens to this machine alone where it is begun here, sends no report of its use,
# and keeps what its own programs say, of actors that have died among it, off the screen.
SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_DEDUP_LOGS_ALLOW_REGEX": "(?!)",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
}
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}

# From a part of what is asked for to its pixels `(pictures, height, width, channels)`, uint8; a function of a module, which
# Ray finds by its name.
Read = Callable[[Any], np.ndarray]


@dataclass(frozen=True)
class Cluster:
    """A cluster that this process is connected to.

    Args:
        actors: how many hold the network, where there are as many parts.
        has_gpus: whether each has a graphics card; if not, a processor.
    """

    actors: int
    has_gpus: bool

    def map(
        self, network: "keras.Model", engine: Engine, read: Read, parts: Sequence[Any]
    ) -> Generator[list[list[np.ndarray]]]:
        """Compute a network's outputs for what is read of each part, in order: lists of an engine's batches.

        Args:
            engine: as which, and in batches of what size, every actor computes it.

        Raises:
            UserError: an actor cannot compute, or the cluster is lost.
        """
        import keras
        import ray

        job = _Job(pickle.dumps(network), engine.name, engine.batch_size, keras.backend.backend(), zoo.__version__)
        here = {"ray.io/node-id": ray.get_runtime_context().get_node_id()}
        items = [{"part": pickle.dumps(part)} for part in parts]
        data = ray.data.from_items(items, override_num_blocks=len(items))
        data = data.map(_Reading(read), num_cpus=0, compute=ray.data.TaskPoolStrategy(size=READERS), label_selector=here).map(
            _Holder,
            fn_constructor_args=(ray.put(job),),
            compute=ray.data.ActorPoolStrategy(size=min(self.actors, len(items))),  # Ray warns of more
            **({"num_gpus": 1} if self.has_gpus else {"num_cpus": 1}),
        )
        try:
            for row in data.iter_rows():
                if row["failed"]:
                    raise UserError(row["failed"])
                yield pickle.loads(row["outputs"])
        except UserError:
            raise
        except Exception as error:  # Ray's own are of many kinds
            raise UserError(_lost(error)) from error


@contextlib.contextmanager
def connected(address: str, actors: int | None) -> Iterator[Cluster]:
    """Connect to a cluster, or begin one on this machine for the block.

    Args:
        address: HOST:PORT or "auto" of a cluster that this machine belongs to, or "local".
        actors: how many hold the network; one for each graphics card or, without any, for each machine if not given.

    Raises:
        UserError: Ray is not installed, there is no such cluster, or it has too little for so many actors.
    """
    if not find_spec("ray"):
        raise UserError("--ray needs Ray, which is not installed: pip install 'keras-transfer-zoo[ray]'.")
    is_local = address == LOCAL
    os.environ.update(SETTINGS | (LOOPBACK if is_local else {}))
    with contextlib.ExitStack() as stack:
        options: dict[str, Any] = {"address": address}
        if is_local:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="zoo-", ignore_cleanup_errors=True))
            options |= {"num_cpus": cores(), "include_dashboard": False, "_temp_dir": folder}
        else:
            _require(address)
        with _own_signals():
            ray = _begin(options)
        stack.callback(ray.shutdown)
        yield _planned(ray, address, actors)


def _require(address: str) -> None:
    """Refuse an address where nobody listens, with a UserError: Ray would wait for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():  # "auto", or what Ray itself refuses
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise UserError(_none_there(address, error)) from error


def _none_there(address: str, error: Exception) -> str:
    """Say in a sentence that there is no cluster at an address, and how to have one."""
    reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
    return (
        f"--ray {shown(address)}: this machine belongs to no such cluster ({shown(reason)}): let it join by "
        "`ray start --address=HOST:PORT` and give --ray auto, which finds the cluster's token, too; or begin one by "
        "`ray start --head`."
    )


def _begin(options: dict[str, Any]) -> Any:
    """Connect, without a word on the screen; gives the module. Raises UserError."""
    import logging

    with runtime.silenced():
        import ray
        import ray.data

        try:
            ray.init(**options, log_to_driver=False, logging_level=logging.CRITICAL)
        except (ConnectionError, ValueError, RuntimeError, OSError) as error:
            raise UserError(_none_there(options["address"], error)) from error
        for name in ("ray", "ray.data"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars, context.print_on_execution_start = False, False
        context.execution_options.preserve_order = True
    return ray


def _planned(ray: Any, address: str, actors: int | None) -> Cluster:
    """Plan how many actors hold the network. Raises UserError where there is too little for so many."""
    there = ray.cluster_resources()
    gpus, cpus = int(there.get("GPU", 0)), int(there.get("CPU", 0))
    machines = sum(node["Alive"] for node in ray.nodes())
    count, most, what = actors or gpus or machines, gpus or cpus, "graphics cards" if gpus else "processors"
    if count > most:
        raise UserError(f"--actors {count}: the cluster at {shown(address)} has {most} {what}, and each actor takes one.")
    return Cluster(count, gpus > 0)


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Keep the handlers of signals, which Ray replaces."""
    is_main = threading.current_thread() is threading.main_thread()  # Python lets no other thread set a handler
    before = {number: signal.getsignal(number) for number in signals.HANDLED if is_main}
    try:
        yield
    except SystemExit as error:  # which Ray makes of SIGTERM
        raise KeyboardInterrupt from error
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _lost(error: Exception) -> str:
    """Say in a sentence why Ray has given up."""
    text = str(error)
    if "ModuleNotFoundError" in text or "No module named" in text:
        return (
            f"A machine of the cluster cannot import what it must run ({shown(clearest_line(error))}): install "
            f"keras-transfer-zoo {zoo.__version__} on each."
        )
    return (
        f"Ray has given up ({shown(clearest_line(error))}): what was computed and kept stays; the same command goes on from "
        "there."
    )


@dataclass(frozen=True)
class _Job:
    """What an actor needs to compute."""

    network: bytes
    engine: str
    batch_size: int
    backend: str
    version: str


@dataclass(frozen=True)
class _Reading:
    """Reads a part where its files lie: on the machine that asks."""

    read: Read

    def __call__(self, row: dict) -> dict:
        try:
            pixels = self.read(pickle.loads(row["part"]))
        except Exception as error:
            return {"failed": clearest_line(error), "shape": [0], "pixels": b""}
        return {"failed": "", "shape": list(pixels.shape), "pixels": pixels.tobytes()}


class _Holder:
    """An actor: holds a network, and computes what it is given, `CALLERS` batches at once."""

    def __init__(self, job: Any):
        import ray

        self._job: _Job = ray.get(job)
        self._engine: Engine | None = None

    def __call__(self, row: dict) -> dict:
        failed, outputs = row["failed"], []
        if not failed:
            try:
                outputs = self._computed(np.frombuffer(row["pixels"], np.uint8).reshape(row["shape"]))
            except Exception as error:  # whatever it is, the driver is to say it in a sentence
                failed = f"{socket.gethostname()} of the cluster cannot compute: {clearest_line(error)}"
        return {"failed": failed, "outputs": pickle.dumps(outputs)}

    def _computed(self, pixels: np.ndarray) -> list[list[np.ndarray]]:
        """Pass pictures batch by batch."""
        self._engine = self._engine or _built(self._job)
        size = self._engine.batch_size
        batches = [pixels[start : start + size] for start in range(0, len(pixels), size)]
        return list(in_order(self._engine.outputs, batches, CALLERS))


def _built(job: _Job) -> Engine:
    """Build the network as the driver has it. Raises UserError where this machine cannot."""
    if job.version != zoo.__version__:
        raise UserError(f"it has keras-transfer-zoo {zoo.__version__}, and {job.version} asks: install the same.")
    os.environ.pop("OMP_NUM_THREADS", None)  # which Ray sets to 1
    os.environ["KERAS_BACKEND"] = job.backend
    runtime.start(0)
    return engines.build(pickle.loads(job.network), job.batch_size, job.engine)
