"""`MODEL_CARD.md`: read by the hub's own client, numbers and licences kept, and nothing of this machine in it."""

import json
import re

import pytest
from run_results import LIMITS, result_of

from recipes.report.card import card


def read(text: str):
    """The head of a card, by the hub's client, and its measures by name."""
    hub = pytest.importorskip("huggingface_hub")
    from huggingface_hub.repocard_data import model_index_to_eval_results

    data = hub.ModelCard(text, ignore_metadata_errors=False).data
    assert isinstance(data, hub.ModelCardData)
    if not data.eval_results:
        return data, []
    name, found = model_index_to_eval_results(data.to_dict()["model-index"])
    assert name == data.model_name
    return data, found


def test_the_hubs_client_reads_the_head():
    data, found = read(card(result_of()))
    assert (data.library_name, data.license, data.datasets) == ("keras", "apache-2.0", ["insects"])
    assert data.metrics == ["f1", "accuracy"] and {"keras", "mobilenet"} <= set(data.tags)
    (f1, accuracy) = found
    assert (f1.metric_type, f1.metric_args["average"]) == ("f1", "macro")
    assert accuracy.metric_value == 0.9281045751633987 and accuracy.metric_args["interval_95"] == LIMITS
    assert "0.876 to 0.959" in accuracy.metric_name and accuracy.metric_args["images"] == 153
    assert (accuracy.dataset_name, accuracy.dataset_split) == ("insects", "validation"), "not of the training pictures"


@pytest.mark.parametrize(
    "text, said",
    [
        ("MIT", {"license": "mit"}),
        ("CC-BY-NC-4.0", {"license": "cc-by-nc-4.0"}),
        (None, {}),
        ("Apache-2.0, MIT", {"license": "other", "license_name": "apache-2.0-and-mit"}),
        ("not stated, MIT", {"license": "other", "license_name": "not-stated-and-mit"}),
        (
            "DINOv3-License",
            {
                "license": "other",
                "license_name": "dinov3-license",
                "license_link": "https://ai.meta.com/resources/models-and-libraries/dinov3-license",
            },
        ),
    ],
)
def test_licences_are_those_of_the_weights(text, said):
    result = result_of()
    result["model"] |= {"license": text}
    values = read(written := card(result))[0].to_dict()
    assert {name: value for name, value in values.items() if name.startswith("license")} == said
    assert text is None or all(name in written for name in text.split(", "))


def test_no_path_of_the_machine_is_in_it():
    written = card(result_of())
    assert "/home" not in written and "/tmp" not in written and "…/insects" in written and "ada" not in written


@pytest.mark.fault(
    "Runs",
    "a class, or a folder of pictures, is named like YAML, Markdown or HTML",
    "the card says the name as it is; the hub reads the card",
    "names come from anywhere, and a hub shows the card to strangers",
)
@pytest.mark.parametrize(
    "name", ["a|b", "<script>x</script>", "---", "`x`: [1]\nlicense: mit", "&id *x", "e\u202exe", "ünï 中", "#1"]
)
def test_names_are_names(name):
    result = json.loads(json.dumps(result_of()).replace('"ants"', json.dumps(name)))
    written = card(result | {"data": f"/home/ada/{name.replace('/', '-')}"})
    data, found = read(written)
    assert data.license == "apache-2.0" and len(found) == 2
    assert "<script" not in written.partition("\n---\n")[2] and "\u202e" not in written
    (row,) = re.findall(r"^\| .* \| 70 \| 94\.0 % .*$", written, re.M)
    assert len(re.findall(r"(?<!\\)\|", row)) == 6, "a name adds no column"


def test_several_labels_a_picture_and_no_part_apart():
    scores = result_of()["metrics"]["validation"] | {
        "mean_average_precision": 0.8,
        "mean_average_precision_interval": [0.7, 0.9],
    }
    result = result_of(metrics={"test": scores}, measures=["mean_average_precision"], classes=["ants"] * 1000)
    assert [one.metric_type for one in read(card(result))[1]] == ["mean_average_precision"]
    trained = card(result_of(metrics={"train": scores}, data="tfds:cifar10"))
    data, found = read(trained)
    assert not found and data.datasets == ["cifar10"] and "how it does on new ones is unknown" in trained
