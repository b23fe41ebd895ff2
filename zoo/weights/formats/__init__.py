"""How each kind of weights file is read: a module a kind, whose `read(path, stack)` gives its tensors unread."""
