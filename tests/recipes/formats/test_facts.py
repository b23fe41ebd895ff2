"""What an exported network says of itself where its run says little, or what cannot be."""

from types import SimpleNamespace

import pytest

from recipes.data.images import Framing
from recipes.evaluation.tasks import MULTI_CLASS
from recipes.formats.facts import facts
from recipes.formats.pictures import rows


@pytest.mark.fault(
    "Export",
    "a run's result.json is damaged: other types than a run writes, or nested too deeply",
    "what it does not say is not known; the network is exported all the same",
    "the network does not need it",
)
@pytest.mark.parametrize(
    "text, name, citations",
    [
        ('{"model": {"name": "lenet5", "license": ["MIT"], "citations": [1, "LeCun"]}}', "lenet5", ["LeCun"]),
        ('{"model": {"name": 5, "citations": "LeCun"}}', None, []),
        ('{"model": "lenet5"}', None, []),
        ("null", None, []),
        ("[" * 100_000, None, []),
    ],
)
def test_a_damaged_result_leaves_the_facts_of_the_network(text, name, citations, tmp_path):
    (tmp_path / "model.keras").touch()
    (tmp_path / "result.json").write_text(text)
    classifier = SimpleNamespace(framing=Framing(32, 32, 3), classes=("a", "b"), task=MULTI_CLASS, confidence=None)
    found = facts(tmp_path, classifier, False, None, "not known")
    assert (found["model"], found["license"], found["citations"]) == (name, None, citations)
    assert found["classes"] == ["a", "b"] and not rows(tmp_path)
