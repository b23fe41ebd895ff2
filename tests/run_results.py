"""Values of a run's result.json without a run, as far as a card or a hub reads them."""

LIMITS = [0.8758549507801967, 0.9593833910778904]


def result_of(**changed) -> dict:
    """Values of result.json, as far as a card reads them."""
    scores = {
        "images": 153,
        "accuracy": 0.9281045751633987,
        "accuracy_interval": LIMITS,
        "macro_f1": 0.9277,
        "macro_f1_interval": [0.88, 0.967],
        "classes": [
            {"name": name, "images": images, "recall": recall, "precision": 0.9, "recall_interval": LIMITS}
            for name, images, recall in (("ants", 70, 0.94), ("bees", 83, 0.91), ("none", 0, None))
        ],
    }
    model = {"name": "mobilenet", "license": "Apache-2.0", "citations": ["Howard 2017"], "trainable": 10, "parameters": 20}
    return {
        "command": "zoo finetune /home/ada/insects --output /tmp/run",
        "data": "/home/ada/insects",
        "classes": ["ants", "bees", "none"],
        "class_counts": {"train": {"ants": 123, "bees": 121}},
        "counts": {"train": 244, "validation": 153, "test": 0},
        "strategy": {"name": "small", "phases": []},
        "measures": ["macro_f1"],
        "metrics": {"train": scores, "validation": scores},
        "confidence": None,
        "model": model,
        "input": {"size": 224, "resize": 256, "channels": 3, "interpolation": "bilinear"},
        "versions": {"keras": "3.15.1"},
        "seed": 0,
    } | changed
