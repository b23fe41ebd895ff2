"""The arithmetic of convolutions in numbers and pictures, and what each stage of a network sees: computed and measured.

    zoo receptive_fields lenet5 --output runs/fields
    python -m recipes.lecture.receptive_fields vgg16 --output runs/fields_vgg16

Four things, from small to large:

- a 5 × 5 input and a 3 × 3 kernel, with and without padding, at stride 1 and 2 (`worked_example.png`);
- how kernel, padding and stride decide the size of the output;
- why VGG has only 3 × 3 kernels (Simonyan & Zisserman 2014, arXiv:1409.1556, section 2.3): two in a row see 5 × 5 pixels
  with 18 C² weights instead of 25 C², three see 7 × 7 with 27 C² instead of 49 C² (`stacks.png`);
- the receptive field of each stage, by `zoo.analysis`, and measured: one pixel of a black picture is lit, and whatever
  moves in a feature map sees that pixel (`fields.png`, `table.csv`).

The measurement gives every kernel positive random weights of sum 1, so that nothing cancels and nothing grows: what is
measured belongs to the architecture, whatever its weights. It also shows how unequal the pixels of a field are: most of
the influence comes from its middle (Luo, Li, Urtasun, Zemel 2016, arXiv:1701.04128).

Measured, and equal to what is computed wherever the picture is large enough: LeNet-5 6 and 16 pixels; VGG-16 6, 16, 44,
100 and 212, with 95 % of the influence within 6, 12, 28, 59 and 118; ResNet-50 35 and 99, then 291 and 483, more than its
picture has. The weights are those of one seed; the sizes are the same on JAX and PyTorch (LeNet-5). VGG-16 takes 23 s of
processor time (2 CPU cores, TensorFlow 2.21, Keras 3.15.1).
"""

from recipes.cli import run_as_module

run_as_module(__name__)

from pathlib import Path

import keras
import numpy as np

import zoo
from recipes.console import say, table
from recipes.errors import UserError
from recipes.lecture.convolution import INPUT, KERNEL, PADDINGS_AND_STRIDES, convolve, counts, sizes, stacks
from recipes.lecture.drawings import draw_example, draw_fields, draw_stacks
from recipes.lecture.fields import limited, measure
from recipes.runs.journal import Experiment
from recipes.settings.lecture import ReceptiveFields
from recipes.transfer.backbone import builder_options
from zoo import analysis


def run(settings: ReceptiveFields) -> Path:
    """Print and draw all of it, and return the folder that holds it.

    Raises:
        UserError: no such model or size, or the folder cannot be written.
    """
    model = _build(settings)
    facts = limited(model)
    if not facts:
        raise UserError(f"{model.name}: no stage sees the same part of the picture everywhere: choose another model.")
    with Experiment(settings) as experiment:
        outputs = {
            f"padding {p}, stride {s}": convolve(INPUT, KERNEL, p, s).astype(int).tolist() for p, s in PADDINGS_AND_STRIDES
        }
        say(f"input\n{_grid(INPUT)}\n\nkernel, laid over without flipping\n{_grid(KERNEL)}")
        for name, output in outputs.items():
            say(f"\n{name}: {len(output)} × {len(output)}\n{_grid(output)}")
        experiment.save_figure("worked_example", draw_example())
        arithmetic = {"sizes": sizes(), "counts": counts(), "stacks": stacks()}
        readable = [row | {"weights": f"{row['weights']:,}"} for row in arithmetic["counts"]]
        titles = {"Output size": arithmetic["sizes"], "Weights": readable, "Stacks of kernels": arithmetic["stacks"]}
        for title, rows in titles.items():
            say(f"\n{title}\n{table(rows)}")
        experiment.save_figure("stacks", draw_stacks(arithmetic["stacks"]))

        measured = experiment.once("fields", lambda: {"stages": measure(model)})["stages"]
        experiment.save_figure("fields", draw_fields(model, facts, measured))
        rows = [{"stage": name} | {k: v for k, v in stage.items() if k != "influence"} for name, stage in measured.items()]
        experiment.finish(rows, worked_example=outputs, **arithmetic)
        return experiment.folder


def _build(settings: ReceptiveFields) -> keras.Model:
    """Build the model at the size that is asked for. Raises UserError."""
    options = builder_options(settings.model, None)
    try:
        if settings.image_size is not None:
            channels = analysis.blueprint(zoo.MODELS[settings.model]).input_shape[-1]
            options["input_shape"] = (settings.image_size, settings.image_size, channels)
        return zoo.get_model(settings.model, num_classes=0, **options)
    except ValueError as error:  # a sentence already
        raise UserError(str(error)) from error


def _grid(values: np.ndarray | list[list[int]]) -> str:
    """Write numbers as aligned text, a line a row."""
    return "\n".join(" ".join(f"{value:3}" for value in row) for row in values)
