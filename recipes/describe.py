"""Describe an architecture: its parameters and multiply-adds, its stages and its weights, and with --layers every layer.

zoo describe MODEL                # --layers, --image-size 96, --variant torch, --alpha 0.5
python -m recipes.describe MODEL
"""

from recipes.cli import run_as_module

run_as_module(__name__)

from collections.abc import Sequence

import keras

import zoo
from recipes import models
from recipes.console import say
from recipes.errors import UserError
from recipes.settings.describe import Description
from recipes.transfer.backbone import builder_options
from recipes.transfer.combined import require_one
from zoo import analysis
from zoo.tables import align


def run(settings: Description) -> str:
    """Print costs, stages and weights, and if asked all layers; return what was printed.

    Raises:
        UserError: no such model, or options that it does not have.
    """
    model = build(settings)
    facts = analysis.analyze(model)
    stages = stage_rows(facts, zoo.stages(model))
    shape = " × ".join(map(str, model.input_shape[1:]))
    others = ", ".join(name for name in model.origin.variants if name != model.origin.variant)
    form = f", built as in {model.origin.variant} (--variant: {others})" if others else ""
    title = f"{model.name}, input {shape}{form}"
    costs = "{} stages, {} parameters, {} multiply-adds".format(len(zoo.stages(model)), *_costs(facts))
    tables = [align(stages, "<>>>>>>"), models.table(models.records(model.name))]
    if settings.layers:
        tables.append(analysis.table(model))
    text = "\n\n".join([f"{title}\n{costs}", *("\n".join(lines) for lines in tables)])
    say(text)
    return text


def stage_rows(facts: Sequence[analysis.LayerFacts], stages: Sequence[str]) -> list[tuple[str, ...]]:
    """Write a header, and the cells of each stage: what comes out of it, and what it costs from the stage before on.

    What lies behind the last stage is the classifier's.
    """
    header, *cells = analysis.rows([fact for fact in facts if fact.name in stages])
    rows, begin = [("stage", header[2], "parameters", "multiply-adds", *header[5:])], 0
    for name, _, output, _, _, *field in cells:
        end = 1 + next(i for i, fact in enumerate(facts) if fact.name == name)
        rows.append((name, output, *_costs(facts[begin:end]), *field))
        begin = end
    if behind := facts[begin:]:
        rows.append(("classifier", "", *_costs(behind), "", "", ""))
    return rows


def _costs(facts: Sequence[analysis.LayerFacts]) -> tuple[str, str]:
    """Write the parameters and multiply-adds of some layers."""
    parameters, multiply_adds = analysis.total(facts)
    return f"{parameters:,}", "?" if multiply_adds is None else f"{multiply_adds:,}"


def build(settings: Description) -> keras.Model:
    """Build the model without values, as the settings ask for it.

    Raises:
        UserError: no such model, or options that it does not have.
    """
    require_one(settings.model, "zoo describe")
    options = {"variant": settings.variant, **builder_options(settings.model, settings.alpha)}
    builder = zoo.MODELS[settings.model]
    try:
        model = analysis.blueprint(builder, **options)
        if settings.image_size is not None:
            size, channels = settings.image_size, model.input_shape[-1]
            model = analysis.blueprint(builder, input_shape=(size, size, channels), **options)
        return model
    except ValueError as error:  # a sentence already
        raise UserError(str(error)) from error
