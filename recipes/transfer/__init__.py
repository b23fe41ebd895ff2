"""The engine: what to train of a pretrained network, and how, from evidence to results."""
