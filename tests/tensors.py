"""Shared by the tests of weights files: what a file holds, and the sentence with which one is refused."""

import numpy as np
import pytest

from zoo.weights.fetching import fetch
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


def not_fetched(entry, *fragments):
    """The one sentence with which weights of LeNet-5 called "test" cannot be had; it holds all of these."""
    with pytest.raises(WeightsError) as caught:
        fetch(entry)
    message = str(caught.value)
    assert message.startswith("lenet5 weights 'test'") and "\n" not in message
    for fragment in fragments:
        assert str(fragment) in message
    return message
