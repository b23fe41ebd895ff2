"""A model zoo for Keras 3: one function an architecture, pretrained weights, and cuts for transfer learning.

>>> from zoo import vgg16
>>> model = vgg16(num_classes=10)

Its names are those of `zoo.api`, which Keras is imported with; the catalog of weights and the facts need none.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:  # what lies below would make every name legal to them
    from zoo.api import *  # noqa: F403
else:

    def __getattr__(name):
        if name.startswith("__") and name != "__all__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        try:
            return import_module(f"{__name__}.{name}")  # a module of this package, such as zoo.classes
        except ModuleNotFoundError as error:
            if error.name != f"{__name__}.{name}":
                raise
        return globals().setdefault(name, getattr(import_module("zoo.api"), name))

    def __dir__():
        return sorted({*globals(), *import_module("zoo.api").__all__})
