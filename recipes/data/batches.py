"""Batches that training draws from, in an order and with random numbers that hang on seed and epoch alone."""

import math
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import keras
import numpy as np

from recipes.data.store import Rows

Reader = Callable[[np.ndarray, np.random.Generator], np.ndarray]


class Batches(keras.utils.PyDataset):
    """Shuffled batches, in another order in every epoch.

    Args:
        read: `read(samples, generator)` gives the inputs of some samples, `(samples, ...)`.
        labels: class numbers `(samples,)`, or rows `(samples, classes)`.
        seed: with the epoch and the batch, all that is random depends on.
        mix: `mix(inputs, labels, generator)` gives both anew; for labels that are rows.
        threads: how many read ahead of the training; 0: none.
        weights: `(samples,)`, how much each one's loss counts.
        sampling: let the weights say how often a sample is drawn, instead.
        multiple: of which the size of every batch is one. A last batch is filled up with its first sample, of weight 0; the
            others weigh so much more that its mean of weighted losses is what it was.
        measured: what is filled up is measured, not trained on: all weigh alike, so that the mean over the epoch is.
    """

    def __init__(
        self,
        read: Reader,
        labels: np.ndarray,
        batch_size: int,
        seed: int,
        mix: Callable[[np.ndarray, np.ndarray, np.random.Generator], tuple] | None = None,
        threads: int = 0,
        weights: np.ndarray | None = None,
        sampling: bool = False,
        multiple: int = 1,
        measured: bool = False,
    ):
        super().__init__()
        self._read, self.labels, self._batch_size, self._seed, self._mix = read, labels, batch_size, seed, mix
        self._weights, self._shares = (None, weights / weights.sum()) if sampling else (weights, None)
        self._multiple, self._measured = multiple, measured
        # Not Keras' `workers`: on JAX and PyTorch, `fit` takes their first batch to build the model and never trains on it.
        self._threads, self._pool = threads, ThreadPoolExecutor(threads) if threads else None
        self.begin(0)

    def begin(self, epoch: int) -> None:
        """Read what belongs to this epoch from now on; so a run that was cut off goes on in the middle."""
        self._epoch = epoch
        generator, count = np.random.default_rng((self._seed, self._epoch)), len(self.labels)
        self._order = generator.permutation(count) if self._shares is None else generator.choice(count, count, p=self._shares)
        self._ahead: dict[int, Future] = {}

    def on_epoch_end(self) -> None:
        """Begin the next epoch; Keras calls this."""
        self.begin(self._epoch + 1)

    def __len__(self) -> int:
        return math.ceil(len(self.labels) / self._batch_size)

    def __getitem__(self, batch: int) -> tuple[np.ndarray, ...]:
        if self._pool is None:
            return self._batch(batch)
        for later in range(batch, min(batch + 2 * self._threads, len(self))):
            if later not in self._ahead:
                self._ahead[later] = self._pool.submit(self._batch, later)
        return self._ahead.pop(batch).result()

    def _batch(self, batch: int) -> tuple[np.ndarray, ...]:
        """Read a batch: inputs, labels and, if there are any, weights."""
        samples = self._order[batch * self._batch_size :][: self._batch_size]
        # Each batch has its own generator: a thread that works ahead cannot change what another batch draws.
        generator = np.random.default_rng((self._seed, self._epoch, batch))
        inputs, labels = self.draw(samples, generator)
        weights = None if self._weights is None else self._weights[samples]
        if self._multiple > 1:
            return self._filled(inputs, labels, np.ones(len(samples)) if weights is None else weights)
        return (inputs, labels) if weights is None else (inputs, labels, weights)

    def _filled(self, inputs: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, ...]:
        """Fill a batch up to the multiple; its mean, or that over the epoch, of weighted losses stays what it was."""
        size, added = len(labels), -len(labels) % self._multiple
        all_samples = len(self.labels)
        more = 1 + (-all_samples % self._multiple) / all_samples if self._measured else 1 + added / size
        places = np.concatenate([np.arange(size), np.zeros(added, int)])
        return inputs[places], labels[places], np.concatenate([weights * more, np.zeros(added)]).astype("float32")

    @property
    def last(self) -> tuple[int, int]:
        """The size of the last batch, before and after it was filled up."""
        size = len(self.labels) - (len(self) - 1) * self._batch_size
        return size, size + -size % self._multiple

    def draw(self, samples: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Read the inputs and labels of some samples, mixed if the batches are."""
        inputs, labels = self._read(samples, generator), self.labels[samples]
        return self._mix(inputs, labels, generator) if self._mix else (inputs, labels)


def from_features(rows: Rows, images: int, views: int = 1) -> Reader:
    """Make a reader of cached activations that draws one of a picture's views.

    Args:
        rows: `(views * images, ...)`, all images of a view, then all of the next.
    """

    def read(samples: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        return rows[samples + images * generator.integers(0, views, len(samples))]

    return read
