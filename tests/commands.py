"""The command `zoo` as its users start it: a process of its own, with its status, its output and its signals.

To import Keras and TensorFlow takes eight seconds of a core. So one process of the session imports them, computes nothing,
and forks itself for every command: what a test waits for is the command. What depends on how Keras is imported (its backend,
its configuration file, another Python path) takes a process from scratch: `is_fresh=True`.
"""

import contextlib
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Before any test has changed it: what the process that is forked begins with.
ENVIRONMENT = dict(os.environ)
IMPORTED = """
    keras matplotlib.pyplot optuna keras_tuner sklearn.linear_model scipy.stats scipy.optimize scipy.linalg jinja2 tyro
    tensorboard.summary zoo.api
    recipes.finetune recipes.tune recipes.rank recipes.check recipes.predict recipes.models recipes.describe recipes.demo
    recipes.export recipes.report.run recipes.search.loop recipes.search.fine_tuning recipes.lecture.inspect_kernels
""".split()


class Command:
    """A command that runs; its standard output and error go into files, so that it never waits for its reader."""

    def __init__(self, arguments: tuple, cwd: Path | None, environment: dict[str, str], is_fresh: bool, setup: str):
        self.arguments = [os.fspath(a) if isinstance(a, Path) else str(a) for a in arguments]
        self._files = [tempfile.TemporaryFile() for _ in range(2)]
        self._status, self._process, self._connection = None, None, None
        cwd, environment = Path(cwd or Path.cwd()).absolute(), {**os.environ, **environment}
        if is_fresh:
            out, err = self._files
            code = f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n{setup}\nfrom recipes.cli import main\nsys.exit(main())"
            self._process = subprocess.Popen(
                [sys.executable, "-c", code, *self.arguments],
                cwd=cwd,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
            self.pid = self._process.pid
        else:
            self._connection = _server().connect()
            request = json.dumps([self.arguments, str(cwd), environment, setup]).encode()
            socket.send_fds(self._connection, [len(request).to_bytes(8, "big")], [f.fileno() for f in self._files])
            self._connection.sendall(request)
            self.pid = int.from_bytes(_receive(self._connection, 8), "big")

    def __del__(self):
        for file in self._files:
            file.close()

    @property
    def stdout(self) -> str:
        """What it has written on its standard output so far."""
        return self._read(0)

    @property
    def stderr(self) -> str:
        """What it has written on its standard error so far."""
        return self._read(1)

    def _read(self, which: int) -> str:
        number = self._files[which].fileno()
        return os.pread(number, os.fstat(number).st_size, 0).decode("utf-8", "backslashreplace")

    def signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def wait_until(self, condition: Callable[["Command"], bool], timeout: float = 300) -> None:
        """Wait until a condition holds of the command; fails if it ends before, or never holds."""
        end = time.monotonic() + timeout
        while not condition(self):
            assert self.poll() is None, f"{self.arguments} ended before:\n{self.stdout}\n{self.stderr}"
            assert time.monotonic() < end, f"{self.arguments}: still waiting after {timeout} s\n{self.stdout}\n{self.stderr}"
            time.sleep(0.02)

    def poll(self) -> int | None:
        """Its exit status as `subprocess` gives it, minus the signal that killed it; None while it runs."""
        return self._wait(0.0)

    def wait(self, timeout: float = 600) -> int:
        """Wait for its end, and return its exit status; it is killed, and the test fails, if it takes longer."""
        if (status := self._wait(timeout)) is None:
            self.signal(signal.SIGKILL)
            self._wait(60)
            raise AssertionError(f"{self.arguments}: not ended after {timeout} s\n{self.stdout}\n{self.stderr}")
        return status

    def _wait(self, timeout: float) -> int | None:
        if self._status is not None:
            return self._status
        if self._process:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._status = self._process.wait(timeout)
            return self._status
        self._connection.settimeout(timeout or 1e-3)
        try:
            word = _receive(self._connection, 8)
        except TimeoutError:
            return None
        self._connection.close()
        self._status = os.waitstatus_to_exitcode(int.from_bytes(word, "big"))
        return self._status


def start(*arguments, cwd: Path | None = None, is_fresh: bool = False, setup: str = "", **environment: str) -> Command:
    """Start `zoo ARGUMENTS`.

    Args:
        cwd: its working folder.
        is_fresh: import everything anew.
        setup: Python to run in the process before the command, such as a limit of its resources.
        environment: variables on top of the test's own.
    """
    return Command(arguments, cwd, environment, is_fresh, setup)


def zoo(*arguments, timeout: float = 600, **how) -> Command:
    """Run `zoo ARGUMENTS` to its end; `how` is `start`'s. No command may end in a traceback, whatever it was given."""
    command = start(*arguments, **how)
    command.wait(timeout)
    assert "Traceback (most recent call last)" not in command.stderr, command.stderr
    return command


def refused(*arguments, **how) -> str:
    """Run `zoo ARGUMENTS`, which must end with 2 and one sentence, and return that sentence."""
    command = zoo(*arguments, **how)
    assert command.poll() == 2, f"status {command.poll()}\n{command.stdout}\n{command.stderr}"
    return command.stderr.strip().splitlines()[-1]


def said_next(text: str) -> list[list[str]]:
    """List the commands that a command's output says come next, as a shell would read them, without `zoo`."""
    lines = re.findall(r"^    (zoo .*)$", text.partition("\nnext:\n")[2], re.M)
    return [shlex.split(line)[1:] for line in lines]


class _Server:
    """The process that is forked, from this side: started when the first command is, ended with the session."""

    def __init__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="zoo-commands-")
        self._path = os.path.join(self._folder.name, "socket")
        self._process = subprocess.Popen(
            [sys.executable, __file__, self._path], stdin=subprocess.PIPE, cwd=ROOT, env=ENVIRONMENT
        )

    def connect(self) -> socket.socket:
        """Open a connection for one command."""
        connection = socket.socket(socket.AF_UNIX)
        for _ in range(6000):
            try:
                connection.connect(self._path)
                return connection
            except (FileNotFoundError, ConnectionRefusedError):
                assert self._process.poll() is None, "the process that starts the commands has died"
                time.sleep(0.02)
        raise AssertionError("the process that starts the commands does not answer")

    def close(self) -> None:
        """End the process; commands that run yet go on."""
        self._process.stdin.close()
        self._process.wait()
        self._folder.cleanup()


_SERVERS: list[_Server] = []


def _server() -> _Server:
    if not _SERVERS:
        _SERVERS.append(_Server())
    return _SERVERS[0]


def close() -> None:
    """End the session's process that starts commands, if there is one."""
    while _SERVERS:
        _SERVERS.pop().close()


def _receive(connection: socket.socket, count: int) -> bytes:
    """Receive so many bytes."""
    found = b""
    while len(found) < count:
        part = connection.recv(count - len(found))
        if not part:
            raise AssertionError("the process that waits for the command has died")
        found += part
    return found


def _serve(path: str) -> list[str]:
    """Wait for commands and fork for each; in the command's own process, return its arguments."""
    import select

    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{path}.new")
    listener.listen(64)
    os.rename(f"{path}.new", path)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who wait for the commands
    while True:
        ready, _, _ = select.select([listener, 0], [], [])
        if 0 in ready and not os.read(0, 1):
            os._exit(0)
        connection, _ = listener.accept()
        if os.fork():
            connection.close()
            continue
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        listener.close()
        size, descriptors, _, _ = socket.recv_fds(connection, 8, 2)
        arguments, cwd, environment, setup = json.loads(_receive(connection, int.from_bytes(size, "big")))
        if pid := os.fork():
            connection.sendall(pid.to_bytes(8, "big"))
            _, status = os.waitpid(pid, 0)
            with contextlib.suppress(BrokenPipeError):
                connection.sendall(status.to_bytes(8, "big"))
            os._exit(0)
        connection.close()
        _become(descriptors, cwd, environment)
        _load_in_this_process()
        exec(setup, {})
        return arguments


def _become(descriptors: list[int], cwd: str, environment: dict[str, str]) -> None:
    """Take the standard streams, the folder and the environment of a command."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, descriptor in enumerate([nothing, *descriptors]):
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)


def keep_templates() -> None:
    """Compile each template of a page once in this process, and not once a page: a tenth of the time of a small run."""
    import jinja2

    kept, compile_anew = {}, jinja2.Environment.compile

    def compiled(self: jinja2.Environment, source: str, *names: str | None) -> object:
        key = source, names, self.autoescape, self.trim_blocks, self.lstrip_blocks
        if key not in kept:
            kept[key] = compile_anew(self, source, *names)
        return kept[key]

    jinja2.Environment.compile = compiled


def _compile_templates() -> None:
    """Have the templates of all pages compiled, as a page of each is made of nothing."""
    from recipes.report import page

    folder = Path(page.__file__).parent
    for path in folder.rglob("*.html"):
        with contextlib.suppress(Exception):  # of what is made of nothing; the template has been compiled by then
            page.page(path.relative_to(folder).as_posix())


def _load_in_this_process() -> None:
    """Have the command look at its saved model itself: to start a process for it takes longer than most commands here.

    test_saved_check.py looks at that process, and so do commands with `is_fresh`.
    """
    from types import SimpleNamespace

    import keras

    from recipes.runs import saved_check

    asked = []
    loader = SimpleNamespace(
        ask=lambda path, pixels: asked.append((path, pixels)),
        answers=lambda: keras.ops.convert_to_numpy(keras.models.load_model(asked[-1][0])(asked[-1][1])),
    )
    saved_check.stranger = lambda: contextlib.nullcontext(loader)


if __name__ == "__main__":
    sys.path[0] = str(ROOT)
    import importlib

    from recipes.compute import runtime

    runtime.keep_memory()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    for name in ("tensorflow", *IMPORTED):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    from recipes.cli import main

    keep_templates()
    _compile_templates()
    sys.argv[1:] = _serve(sys.argv[1])
    sys.exit(main())
