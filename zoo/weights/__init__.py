"""Pretrained weights: where they are (`catalog`), how their files are read (`files`), named (`names`), loaded (`loading`)."""
