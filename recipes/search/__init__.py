"""Search over hyper-parameters: the space, the trials in a shared storage, the training of one, what is shown of it."""
