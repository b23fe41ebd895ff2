"""What `auto` tried before it chose, as rows of a table."""


def trials(result: dict) -> list[dict]:
    """List each strategy that was tried, at the share of its way that did best, with what it cost; nothing without trials.

    Args:
        result: values of `result.json`; of an older run they say nothing of epochs and seconds.
    """
    strategy = result.get("strategy") or {}
    best: dict[str, dict] = {}
    for trial in (strategy.get("facts") or {}).get("rehearsals") or ():
        other = best.get(trial["strategy"])
        best[trial["strategy"]] = trial if other is None or trial["loss"] < other["loss"] else other
    return [
        trial
        | {
            "is_taken": trial["strategy"] == strategy["name"],
            "is_ended": trial.get("epochs", 0) < trial.get("planned", 0),
        }
        for trial in best.values()
    ]
