"""Several processes for one search with a hypermodel: what each is given, and how it finds the user's functions.

A job is a file of pickled arguments, in which functions and classes are names. A worker imports the script that they are
defined in as `multiprocessing` does, under the name `__mp_main__`, so that its `if __name__ == "__main__":` is passed over.
"""

import contextlib
import multiprocessing.spawn
import pickle
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from recipes.compute import signals
from recipes.console import say
from recipes.errors import UserError, shown
from recipes.search.hypermodel_search import HypermodelSearch
from zoo.files import write_bytes

JOB = ".job.pickle"


@contextlib.contextmanager
def job(search: HypermodelSearch) -> Iterator[Path]:
    """Write a search for workers to join, into a file that is there as long as the block.

    Raises:
        UserError: other processes cannot import what it needs.
    """
    path = search.settings.folder / JOB
    preparation = multiprocessing.spawn.get_preparation_data("worker")
    del preparation["authkey"]  # which only a child of this process may have
    write_bytes(path, pickle.dumps((preparation, _pickled(search))))
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def check(search: HypermodelSearch) -> None:
    """Refuse what other processes could not import.

    Raises:
        UserError: naming what it is.
    """
    _pickled(search)


def _pickled(search: HypermodelSearch) -> bytes:
    """Pickle the arguments. Raises UserError where other processes could not import them."""
    remedy = "define it at the top of a module or a script, or give workers=1."
    for name in ("build", "tuner", "callbacks", "objective", "tuner_options"):
        value = getattr(search, name)
        try:
            found = pickle.dumps(value)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise UserError(f"{name} cannot be imported by other processes ({shown(error)}): {remedy}") from error
        if b"__main__" in found and not hasattr(sys.modules["__main__"], "__file__"):
            raise UserError(f"{name} is defined in a session, which other processes cannot import: {remedy}")
    return pickle.dumps(search)


def check_is_no_worker() -> None:
    """Refuse to begin a search while a worker imports the script.

    Raises:
        UserError: naming what the script lacks.
    """
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec is not None and spec.name == "recipes.search.hypermodels":
        raise UserError(
            "tune_hypermodel(workers=...) was called while a worker imported the script: put the call below "
            "`if __name__ == '__main__':`."
        )


def serve(run: Callable[[HypermodelSearch], object]) -> None:
    """Join the search of the job that the command line names, and exit with a status as `zoo` does."""
    with signals.raised():
        try:
            preparation, search = pickle.loads(Path(sys.argv[1]).read_bytes())
            multiprocessing.spawn.prepare(preparation)
            run(pickle.loads(search))
        except UserError as error:
            say(str(error))
            sys.exit(2)
        except KeyboardInterrupt:
            sys.exit(signals.status())
