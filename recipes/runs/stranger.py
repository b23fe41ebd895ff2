"""A program that loads saved models as someone does who has not this project; `recipes.runs.saved_check` starts it.

For each line of standard input, `[MODEL, PIXELS, ANSWERS]` in JSON, it loads the model with the defaults of
`keras.models.load_model`, lets it answer the pixels `(batch, height, width, channels)` of one `.npy` file, writes the
probabilities into the other, and prints a line of JSON: `{"asked": ANSWERS}`, with `"refused": REASON` for a model that cannot
be loaded. It ends when its input does.
"""

import json
import os
import sys


def main() -> None:
    """Answer until nobody asks any more."""
    for name in ("zoo", "callbacks", "recipes"):
        sys.modules[name] = None  # so that importing it is an error, wherever it is installed
    said = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no line of ours
    import keras
    import numpy as np

    for line in sys.stdin:
        path, asked, given = json.loads(line)
        pixels, reply = np.load(asked), {"asked": given}
        try:
            model = keras.models.load_model(path)
            # As recipes/compute/compiling.py has it; XLA, which TensorFlow would take, takes minutes.
            model.jit_compile = keras.backend.backend() == "jax"
            answers = keras.ops.convert_to_numpy(model.predict_on_batch(pixels))
        except Exception as error:
            reply |= {"refused": f"{type(error).__name__}: {error}"}
        else:
            np.save(given, answers)
        print(json.dumps(reply), file=said, flush=True)


if __name__ == "__main__":
    main()
