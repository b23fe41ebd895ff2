"""Processor time of a picture in each engine of the frozen pass, by the size of a batch, beside Keras' `predict_on_batch`.

    python benchmarks/engines.py [--model mobilenet_v2] [--pictures 96] [--rounds 3]

Pictures are noise, in memory. Printed are milliseconds of processor time a picture, the least of the rounds, which others on
the machine disturb less than they do seconds.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np


def least(work: Callable[[], object], pictures: int, rounds: int) -> float:
    """Measure milliseconds of processor time a picture, after a first call, which compiles."""
    work()
    found = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        found.append(1000 * (time.process_time() - start) / pictures)
    return min(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mobilenet_v2")
    parser.add_argument("--pictures", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    from recipes.compute import runtime

    runtime.start(0)
    import zoo
    from recipes.compute import engines
    from recipes.compute.pipeline import in_order

    body = zoo.get_model(given.model, num_classes=0, weights=None)
    pixels = np.random.default_rng(0).integers(0, 256, (given.pictures, *body.input_shape[1:]), "uint8")

    def batches(size: int) -> list[np.ndarray]:
        return [pixels[start : start + size] for start in range(0, len(pixels), size)]

    plain = least(lambda: [body.predict_on_batch(batch) for batch in batches(32)], given.pictures, given.rounds)
    print(f"predict_on_batch, batches of 32: {plain:.1f} ms")
    for name in (engines.KERAS, engines.OPENVINO):
        for size in (8, 16, 32):
            engines.MAX_BATCH[name] = size
            run = engines.build(body, size, name).run
            taken = least(
                lambda run=run, size=size: list(in_order(run, batches(size), engines.CALLERS)), given.pictures, given.rounds
            )
            print(f"{name}, batches of {size}: {taken:.1f} ms", flush=True)


if __name__ == "__main__":
    main()
