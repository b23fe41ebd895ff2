"""Search over heads and fine-tunings: spaces, trainers, and oracles whose trials lie in a database."""
