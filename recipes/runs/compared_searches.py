"""Several searches beside each other: what each tried, reached and chose."""

from collections.abc import Sequence

from recipes.runs.finished import Searched


def describe_searches(searches: Sequence[Searched], names: Sequence[str]) -> dict:
    """Describe searches as values of comparison.json: a row each, what they chose, and what their numbers are worth."""
    return {"rows": [_row(one, name) for one, name in zip(searches, names, strict=True)], "finding": _finding(searches)}


def _row(one: Searched, name: str) -> dict:
    """Describe a search."""
    best, counts, settings = one.result["best"], one.result["counts"], one.result.get("settings") or {}
    taken = one.result.get("seconds") or {}
    return {
        "name": name,
        "folder": str(one.folder),
        "scope": settings.get("scope") or "hypermodel",
        "tuner": settings.get("tuner") or one.result.get("tuner"),
        "seed": one.result.get("seed"),
        "trials": counts.get("trials"),
        "scored": counts.get("scored"),
        "failed": counts.get("failed", 0),
        "held_out": counts.get("held_out"),
        "objective": (one.result.get("objective") or {}).get("name") or "loss",
        "score": best.get("score", best.get("loss")),
        "accuracy": best.get("accuracy"),
        "accuracy_interval": best.get("accuracy_interval"),
        "values": best.get("values") or {},
        "seconds": taken.get("total", sum(taken.values())),  # older ones have no total
        "has_run": one.best is not None,
    }


def _finding(searches: Sequence[Searched]) -> str:
    """Say whether the scores of the trials may be compared with each other."""
    pictures = {(one.result.get("identity") or {}).get("pictures") for one in searches}
    chosen = "The best of many trials owes some of its score to chance: compare the winners' runs."
    if len(pictures) > 1 or None in pictures:
        return f"Their trials were judged on different pictures: scores of one search say nothing of another. {chosen}"
    return f"Their trials were judged on the same pictures. {chosen}"
