"""Every layer of an architecture, its stages and its weights: zoo describe MODEL [--input-size N] [--variant V] [--alpha A]."""

if __name__ == "__main__":  # first of all: the command line imports nothing heavy before it has read the flags
    import sys

    from recipes.cli import main

    sys.exit(main(["describe", *sys.argv[1:]]))

import keras

import zoo
from recipes import models
from recipes.settings.finetune import Description
from recipes.errors import UserError
from recipes.runs.folder import say
from zoo import analysis


def run(settings: Description) -> None:
    """Print three tables: all layers, what comes out of the stages, and the weights there are.

    Raises:
        UserError: no such model, or options that it does not have.
    """
    model = build(settings)
    header, *cells = analysis.rows([fact for fact in analysis.analyse(model) if fact.name in zoo.stages(model)])
    stages = [(name, output, *field) for name, _, output, _, _, *field in (("stage", *header[1:]), *cells)]
    shape = " × ".join(map(str, model.input_shape[1:]))
    say(f"{model.name}, variant {model.origin.variant} of {', '.join(model.origin.variants)}, input {shape}")
    for lines in (analysis.table(model), analysis.align(stages, "<>>>>"), models.table(models.records(model.name))):
        say()
        for line in lines:
            say(line)


def build(settings: Description) -> keras.Model:
    """The model without values, as the settings ask for it."""
    options = {"variant": settings.variant, **models.own_options(settings.model, settings.alpha)}
    builder = zoo.MODELS[settings.model]
    try:
        model = analysis.blueprint(builder, **options)
        if settings.input_size is not None:
            size, channels = settings.input_size, model.input_shape[-1]
            model = analysis.blueprint(builder, input_shape=(size, size, channels), **options)
        return model
    except ValueError as error:  # a sentence already
        raise UserError(str(error)) from error
