"""How good a classifier is, and how sure that is: tasks, metrics, intervals, verdicts."""
