"""The page and the HTTP interface of `zoo serve`: what comes in, how it waits for the network, and what goes out."""
