"""The pages and HTTP interfaces of `zoo serve` and `zoo label`: what comes in, how it waits for a network, what goes out."""
