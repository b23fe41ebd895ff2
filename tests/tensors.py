"""Shared by the tests of weights files: what a file holds, and the sentence with which one is refused."""

import numpy as np
import pytest

from zoo.weights.files import open_tensors
from zoo.weights.formats.tensors import WeightsError


def read(path):
    with open_tensors(path) as tensors:
        return {name: np.array(tensor) for name, tensor in tensors.items()}


def refused(path, message, function=read):
    """The one sentence with which `function` refuses the file."""
    with pytest.raises(WeightsError, match=message) as caught:
        function(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    return str(caught.value)
