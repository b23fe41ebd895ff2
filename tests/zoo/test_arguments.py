"""What is told about a wrong argument, in one sentence, and what is taken: NumPy's numbers, but no truth value as a number."""

import enum
import inspect

import keras
import numpy as np
import pytest

import zoo
from zoo import builder

SIZE = (32, 32, 3)


class SomeWeights(enum.Enum):
    """As torchvision has one for each network."""

    IMAGENET1K_V1 = "a file"
    DEFAULT = "a file"


SHAPE = r"vgg16: input_shape must be \(height, width, channels\), found "
ALL = (
    r'vgg16: weights must be a tag of the catalog \(imagenet, imagenet_torchvision\), "default" for the best of them, a file, '
)
WRONG = [
    ({"input_shape": 64}, SHAPE + r"64: give \(64, 64, 3\)\."),
    ({"input_shape": (224, 224)}, SHAPE + r"\(224, 224\): give \(224, 224, 3\)\."),
    ({"input_shape": (3, 224, 224)}, SHAPE + r"\(3, 224, 224\) with the channels first: give \(224, 224, 3\)\."),
    ({"input_shape": (1, None, None)}, SHAPE + r"\(1, None, None\) with the channels first: give \(None, None, 1\)\."),
    ({"input_shape": (None, 224, 224, 3)}, SHAPE + r"\(None, 224, 224, 3\) with the batch: give \(224, 224, 3\)\."),
    ({"input_shape": (8, 3, 64, 64)}, SHAPE + r".* with the batch and with the channels first: give \(64, 64, 3\)\."),
    ({"input_shape": "224,224,3"}, SHAPE + r"'224,224,3'\."),
    ({"input_shape": ("224", "224", 3)}, r"height and width must be whole numbers, found \('224', '224', 3\)\."),
    ({"input_shape": (True, 224, 3)}, "height and width must be whole numbers"),
    ({"input_shape": (224, 224, True)}, SHAPE),
    ({"input_shape": ()}, SHAPE + r"\(\)\."),
    ({"weights": True}, ALL + "or None for random values, found True"),
    ({"weights": False}, ALL + "or None for random values, found False"),
    ({"weights": np.zeros((100, 100))}, ALL + "or None for random values, found an object of the class ndarray"),
    ({"weights": SomeWeights.DEFAULT}, "did you mean 'imagenet_torchvision'"),
    ({"weights": "IMAGENET1K_V1"}, "has no weights 'IMAGENET1K_V1': .*; did you mean 'imagenet_torchvision'"),
    ({"weights": "VGG16_Weights.DEFAULT"}, "did you mean 'default'"),
    ({"weights": "ImageNet"}, "did you mean 'imagenet'"),
    ({"num_classes": True}, "vgg16: num_classes must be 0 or a positive integer, found True"),
    ({"num_classes": "10"}, "num_classes must be 0 or a positive integer, found '10'"),
    ({"num_classes": 10.0}, "num_classes must be 0 or a positive integer, found 10.0"),
    ({"num_classes": np.bool_(True)}, "num_classes must be 0 or a positive integer"),
    ({"l2": True}, "vgg16: l2 must be a number, 0 or positive, found True"),
    ({"l2": "1e-4"}, "l2 must be a number, 0 or positive, found '1e-4'"),
    ({"l2": float("inf")}, "l2 must be a number, 0 or positive, found inf"),
    ({"dropout": "0.5"}, r"vgg16: dropout must be a number in \[0, 1\), found '0.5'"),
    ({"dropout": None}, r"dropout must be a number in \[0, 1\), found None"),
    ({"dropout": True}, r"dropout must be a number in \[0, 1\), found True"),
    (
        {"activation": "softmx"},
        "vgg16: activation must be a name in keras.activations.*'softmx'; did you mean 'softmax'",
    ),
    ({"activation": True}, "activation must be a name in keras.activations, .*, or None for logits, found True"),
    ({"variant": True}, "vgg16 has the variants keras, torch, found True"),
    ({"variant": ["keras"]}, "vgg16 has the variants keras, torch, found"),
    ({"preprocessing": True}, "preprocessing must be one of caffe, .* found True"),
]


def told(message, function, *arguments, **options):
    """It is refused by a sentence."""
    with pytest.raises(ValueError, match=message) as caught:
        function(*arguments, **options)
    assert "\n" not in str(caught.value) and str(caught.value)[-1] in ".?"


@pytest.mark.parametrize("options, message", WRONG, ids=lambda value: str(value)[:40] if isinstance(value, dict) else "")
@pytest.mark.fault(
    "Models",
    "An argument of a wrong type or form, such as input_shape=(3, 224, 224), weights=True, num_classes=10.0",
    "Refused: a sentence with what was expected and found, and what was meant",
    "Half of them were taken for something else, the others ended in the middle of Keras.",
)
def test_a_wrong_value_is_told(options, message):
    told(message, zoo.vgg16, **options)


@pytest.mark.parametrize(
    "name, options, message",
    [
        ("lenet5", {"modern": 1}, "lenet5: modern must be True or False, found 1"),
        ("mobilenet", {"alpha": True}, "mobilenet: alpha must be a number, found True"),
        ("mobilenet_v2", {"alpha": "0.5"}, "mobilenet_v2: alpha must be a number, found '0.5'"),
        ("mobilenet_v3_small", {"alpha": None}, "mobilenet_v3_small: alpha must be a number, found None"),
        ("inception_v1", {"lrn": "no"}, "inception_v1: lrn must be True or False, found 'no'"),
        ("googlenet", {"aux": 1}, "googlenet: aux must be True or False, found 1"),
    ],
)
def test_a_wrong_value_of_a_builders_own_option(name, options, message):
    told(message, zoo.get_model, name, **options)


def test_numpys_numbers_are_numbers():
    shape = (np.int64(32), np.int32(32), np.uint8(1))
    model = zoo.lenet5(num_classes=np.int64(3), input_shape=shape, l2=np.float32(0.5), dropout=np.float64(0.5), modern=np.True_)
    assert model.output_shape == (None, 3) and model.input_shape == (None, 32, 32, 1)
    assert {type(side) for side in model.input_shape[1:]} == {int}
    assert model.get_layer("c1").kernel_regularizer.l2 == 0.5 and model.get_layer("dropout").rate == 0.5
    assert model.get_layer("c1").activation is keras.activations.relu
    wide = zoo.mobilenet(alpha=np.int64(1), num_classes=0, input_shape=np.array([32, 32, 3]))
    assert wide.output_shape == (None, 1024)
    assert zoo.new_head(model, np.int16(4)).output_shape == (None, 4)


def test_a_function_is_an_activation():
    model = zoo.lenet5(activation=keras.activations.sigmoid)
    assert model.layers[-1].activation is keras.activations.sigmoid


# ---------------------------------------------------------------------------------------------- cuts and heads
def calls():
    model = zoo.lenet5(num_classes=2)
    return [
        ("features: stages must be a list of names, such as .*, found 'stage2'", zoo.features, model, "stage2"),
        ("features: stages must be a list of names, such as .*, found 2", zoo.features, model, 2),
        ("lenet5 has no stage 2: its stages are stage1, stage2", zoo.features, model, [2]),
        ("split: at must be the name of a stage or layer, .* found 2", zoo.split, model, 2),
        ("split: at must be the name of a stage or layer, .* found \\['stage1'\\]", zoo.split, model, ["stage1"]),
        ("freeze: until must be the name of a stage or layer, .*, or None, found True", zoo.freeze, model, True),
        ("regularize: l2 must be a number, 0 or positive, found '0.1'", zoo.regularize, model, "0.1"),
        ("regularize: l1 must be a number, 0 or positive, found -1", zoo.regularize, model, 0.1, -1),
        ("new_head: num_classes must be 1 or more, a whole number, found True", zoo.new_head, model, True),
        ("new_head: num_classes must be 1 or more, a whole number, found '3'", zoo.new_head, model, "3"),
        (r"new_head: dropout must be a number in \[0, 1\), found '0.5'", zoo.new_head, model, 3, "0.5"),
        ("new_head: activation must be a name .*did you mean 'softmax'", zoo.new_head, model, 3, 0.0, "softmx"),
        (r"There is no head \['linear'\]: choose one of linear", zoo.new_head, model, 3, 0.0, None, ["linear"]),
        ("load_weights: there is no weights file 'mnist'; tags .* builder's weights=", zoo.load_weights, model, "mnist"),
        ("load_weights: there is no weights file None", zoo.load_weights, model, None),
        *(
            (f"{function.__name__} needs a Keras model, found the function vgg16: call it, vgg16()", function, zoo.vgg16, *rest)
            for function, *rest in (
                (zoo.stages,),
                (zoo.split, "stage1"),
                (zoo.features,),
                (zoo.freeze, None),
                (zoo.regularize, 0.1),
                (zoo.new_head, 3),
                (zoo.load_weights, "x.h5"),
            )
        ),
        ("stages needs a Keras model, found 'vgg16'", zoo.stages, "vgg16"),
    ]


def test_wrong_arguments_of_cuts_and_heads():
    for message, function, *arguments in calls():
        told(message.replace("vgg16()", r"vgg16\(\)"), function, *arguments)


# ---------------------------------------------------------------------------------------------- what `help` shows
@pytest.mark.parametrize("name", zoo.MODELS)
def test_the_signature_has_every_option_with_type_and_default(name):
    signature, build = inspect.signature(zoo.MODELS[name]), inspect.signature(builder.build)
    assert {parameter.kind for parameter in signature.parameters.values()} == {inspect.Parameter.KEYWORD_ONLY}
    assert all(parameter.default is not parameter.empty for parameter in signature.parameters.values())
    for option, kind in builder.Options.__annotations__.items():
        parameter = signature.parameters[option]
        assert (parameter.default, parameter.annotation) == (build.parameters[option].default, kind)
        assert f"    {option}: " in zoo.MODELS[name].__doc__
    assert signature.return_annotation is keras.Model


def test_a_builders_own_options_are_shown():
    parameters = inspect.signature(zoo.mobilenet_v2).parameters
    assert (parameters["alpha"].default, parameters["alpha"].annotation) == (1.0, float)
    assert list(parameters)[:2] == ["num_classes", "input_shape"]


def test_get_model_takes_the_options_of_all_builders():
    """And their types are theirs, but what is None by default in some."""
    all_of_them = {o: p.annotation for m in zoo.MODELS.values() for o, p in inspect.signature(m).parameters.items()}
    assert inspect.get_annotations(builder.AllOptions) | builder.Options.__annotations__ == all_of_them
