"""Describe an architecture: every layer, its stages and its weights.

zoo describe MODEL                # --image-size 96, --variant torch, --alpha 0.5
python -m recipes.describe MODEL
"""

from recipes.cli import run_as_module

run_as_module(__name__)

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
    """Print three tables, all layers, what comes out of the stages, and the weights there are; return what was printed.

    Raises:
        UserError: no such model, or options that it does not have.
    """
    model = build(settings)
    header, *cells = analysis.rows([fact for fact in analysis.analyze(model) if fact.name in zoo.stages(model)])
    stages = [(name, output, *field) for name, _, output, _, _, *field in (("stage", *header[1:]), *cells)]
    shape = " × ".join(map(str, model.input_shape[1:]))
    title = f"{model.name}, variant {model.origin.variant} of {', '.join(model.origin.variants)}, input {shape}"
    tables = (analysis.table(model), align(stages, "<>>>>"), models.table(models.records(model.name)))
    text = "\n\n".join([title, *("\n".join(lines) for lines in tables)])
    say(text)
    return text


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
