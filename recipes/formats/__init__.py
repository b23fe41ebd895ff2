"""Forms in which other programs run a network: how each is written, and looked at afterwards by its own runtime."""
