"""Numbers that say how good a classifier is, and how sure that is."""
