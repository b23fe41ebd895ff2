"""What a run leaves behind: `result.json`, `report.html`, `MODEL_CARD.md`, the tables and the model."""

from dataclasses import asdict
from pathlib import Path

import keras
import numpy as np

from recipes.compute import engines, precision, replicas
from recipes.compute.energy import Meter
from recipes.compute.machine import machine, speed
from recipes.compute.versions import versions
from recipes.data.dataset import Dataset
from recipes.data.division import SPLITS
from recipes.data.images import center
from recipes.report.card import card
from recipes.report.mistakes import worst
from recipes.report.run import render
from recipes.runs import model_file, reference, saved_check
from recipes.runs.file_rows import FileRows
from recipes.runs.folder import SCHEMA, escaped
from recipes.settings.backbones import SEPARATOR
from recipes.transfer import mistakes
from recipes.transfer.choice import unused_flags
from recipes.transfer.combined import parts_of, pixels_of
from recipes.transfer.confidence import measured
from recipes.transfer.outputs import Trained
from recipes.transfer.state import Clock, Fitted, Outcome, Prepared
from recipes.transfer.summary import command
from recipes.transfer.suspects import Suspect
from zoo.files import sha256, write_csv, write_json, write_text
from zoo.origin import Origin
from zoo.weights import digests

REPORTED_AUGMENTED_PICTURES = 4
REPORTED_VERSIONS = 6
MAX_CHECKED_PICTURES = 16


def write(
    outcome: Outcome, folder: Path, stranger: saved_check.Stranger, clock: Clock, meter: Meter
) -> tuple[dict, list[dict]]:
    """Fill a new run's folder; return what result.json holds, and the rows of history.csv.

    The saved model is looked at by another process while the report is made.

    Raises:
        UserError: the saved model, loaded where this project is not, does not answer as it did.
    """
    recipe, data, model = outcome.prepared.recipe, outcome.prepared.data, outcome.prepared.model
    with clock.step("saving"):
        model_file.save(model, folder / "model.keras", data.classes, asdict(data.framing), outcome.confidence)
        chosen = np.linspace(0, len(data.paths) - 1, min(MAX_CHECKED_PICTURES, len(data.paths))).astype(int)
        pixels, network = center(data.pixels[chosen], data.framing), Trained(model)
        trained = network.probabilities(pixels)
        timed = speed(network.probabilities, pixels)  # before another process works beside this one
        check = saved_check.Check(folder / "model.keras", pixels, trained, stranger)
        check.require_reported(outcome.evaluated.probabilities[chosen])
        made = {"file_size": (folder / "model.keras").stat().st_size, "speed": timed, "machine": machine()}
        digests.write(folder / "model.keras")
        learnt_from = _reference(outcome)
        reference.write(learnt_from, folder / "model.keras")
    with clock.step("report"):
        rows, history = FileRows(outcome.prepared.data, outcome.evaluated.probabilities), list(outcome.fitted.history)
        steps = history or [_head_row(outcome, clock)]
        write_csv(folder / "files.csv", rows)
        write_csv(folder / "history.csv", steps)
        recipe.save(folder / "recipe.json")
        result = as_dict(outcome, clock) | made | {"energy": meter.stop()}
        explained = mistakes.explain(outcome, network, learnt_from, worst(rows, result))
        page = render(result, history, rows, data.picture, _augmented(outcome.prepared, outcome.fitted), explained)
        write_text(folder / "report.html", page)
    with clock.step("check"):
        check.require_saved()
    result |= {"seconds": clock.as_dict()}  # the report's too
    write_json(folder / "result.json", result)
    write_text(folder / "MODEL_CARD.md", card(result))
    return result, steps


def _reference(outcome: Outcome) -> reference.Reference:
    """Gather what the network says of the training pictures that stand for all, and what these are."""
    data, evaluated = outcome.prepared.data, outcome.evaluated
    is_train = data.splits[evaluated.referred] == "train"
    kept = evaluated.referred[is_train]
    groups = np.arange(len(kept)) if data.groups is None else np.unique(data.groups_of(kept), return_inverse=True)[1]
    return reference.Reference(
        evaluated.features[is_train],
        data.labels[kept],
        tuple(data.paths[i] for i in kept),
        tuple(data.digests[i] for i in kept),
        groups,
        evaluated.features[~is_train],
        bool(outcome.fitted.strategy.phases),
    )


def as_dict(outcome: Outcome, clock: Clock) -> dict:
    """Make the values of `result.json`; its keys are a contract with other programs, so `SCHEMA` counts their changes."""
    recipe, data, evaluated = outcome.prepared.recipe, outcome.prepared.data, outcome.evaluated
    parts = {name: data.part(name) for name in SPLITS if len(data.part(name))}
    held_out = {name: part for name, part in parts.items() if name != "train"}
    measures, reason = data.task.measures(np.sum([list(data.counts(name).values()) for name in SPLITS], axis=0).tolist())
    head, choice = outcome.fitted.head, {"pooling": recipe.pooling, "balance": recipe.balance}
    return {
        "schema": SCHEMA,
        "recipe": "finetune",
        "command": command(recipe),
        "data": escaped(recipe.data),
        "classes": list(data.classes),
        "counts": {name: len(data.part(name)) for name in SPLITS} | {"left_out": len(data.left_out)},
        "groups": data.groups and len(set(data.groups)),
        "weights": data.weights if data.weights is None else [float(data.weights.min()), float(data.weights.max())],
        "class_counts": {name: data.counts(name) for name in parts},
        "strategy": _strategy(outcome),
        "head": head and head.as_dict() | choice,
        "measures": list(measures),
        "measures_reason": reason,
        "metrics": _metrics(data, evaluated.probabilities, parts),
        "metrics_ten_crop": None if evaluated.ten_crop is None else _metrics(data, evaluated.ten_crop, held_out),
        "confidence": outcome.confidence and measured(outcome.prepared, outcome.fitted, outcome.confidence, evaluated),
        "repeats": outcome.repeats and outcome.repeats.as_dict(),
        "seconds": clock.as_dict(),
        "model": _model(outcome.prepared),
        "input": asdict(data.framing),
        "findings": data.findings,
        "corrections": data.corrections,
        "suspects": None if outcome.judged.reason else [_suspect(data, one) for one in outcome.judged.suspects],
        "suspects_reason": outcome.judged.reason,
        "engine": _engine(outcome.prepared),
        "precision": precision.chosen(recipe.precision) if outcome.fitted.strategy.phases else precision.FLOAT32,
        "devices": replicas.count(recipe.devices, recipe.batch_size) if outcome.fitted.strategy.phases else 1,
        "versions": versions(),
        "seed": recipe.seed,
    }


def _metrics(data: Dataset, probabilities: np.ndarray, parts: dict[str, np.ndarray]) -> dict[str, dict]:
    """Measure the parts."""
    measure = data.task.metrics
    return {
        name: measure(data.labels[part], probabilities[part], data.classes, data.weights_of(part))
        for name, part in parts.items()
    }


def _suspect(data: Dataset, one: Suspect) -> dict:
    """Describe a label that is probably wrong."""
    return {
        "path": data.paths[one.picture],
        "split": str(data.splits[one.picture]),
        "label": data.classes[one.label],
        "likelier": data.classes[one.likelier],
        "probability": one.probability,
        "likelier_probability": one.likelier_probability,
        "neighbors": [{"path": data.paths[i], "label": data.classes[data.labels[i]]} for i in one.neighbors],
    }


def _strategy(outcome: Outcome) -> dict:
    """Describe the strategy, and how much of the network it trains."""
    strategy, model = outcome.fitted.strategy, outcome.prepared.model
    augment = outcome.prepared.augmentation(strategy)
    return {
        "name": strategy.name,
        "reason": strategy.reason,
        "freeze_until": strategy.freeze_until,
        "frozen": [layer.name for layer in model.layers if layer.weights and not layer.trainable],
        "phases": [asdict(phase) for phase in strategy.phases],
        "augment": augment,
        "unused": unused_flags(outcome.prepared.recipe, strategy, augment),
        "facts": outcome.choice.evidence.as_dict(),
    }


def _engine(prepared: Prepared) -> str:
    """Name what computed the outputs of frozen layers, by now that it is known what could."""
    networks = parts_of(prepared.model) or (prepared.model,)
    return "+".join(sorted({engines.planned(prepared.recipe.engine, network) for network in networks}))


def _model(prepared: Prepared) -> dict:
    """Describe the network, its weights and its input."""
    model, origin = prepared.model, prepared.model.origin
    trainable = sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)
    if not (parts := parts_of(model)):
        digest = sha256(origin.weights) if origin.weights else None
        return _network(model, origin, digest) | {"trainable": trainable}
    networks = [_network(part, part.origin, sha256(part.origin.weights)) | {"pixels": pixels_of(part)} for part in parts]
    all_digests = SEPARATOR.join(network["weights_sha256"] for network in networks)
    return _network(model, origin, all_digests) | {"trainable": trainable, "backbones": networks}


def _network(model: keras.Model, origin: Origin, digest: str | None) -> dict:
    """Describe a network: what it is, how large, and where its weights come from."""
    return {
        "name": origin.name,
        "variant": origin.variant,
        "preprocessing": origin.preprocessing,
        "parameters": model.count_params(),
        "weights": origin.weights,
        "weights_sha256": digest,
        "license": origin.license,
        "citations": list(origin.citations),
    }


def _head_row(outcome: Outcome, clock: Clock) -> dict:
    """Make the one row of history of a run without epochs: its head was solved, not stepped."""
    data = outcome.prepared.data
    parts = {name: data.part(name) for name in ("train", "validation") if len(data.part(name))}
    scores = _metrics(data, outcome.evaluated.probabilities, parts)
    validation = scores.get("validation", {})
    return {
        "phase": "head",
        "epoch": 1,
        "learning_rate": None,
        "loss": scores["train"]["loss"],
        "accuracy": scores["train"]["accuracy"],
        "validation_loss": validation.get("loss"),
        "validation_accuracy": validation.get("accuracy"),
        "seconds": clock.seconds["head"],
    }


def _augmented(prepared: Prepared, fitted: Fitted) -> list[dict]:
    """Show some training pictures as evaluation sees them, and, with their labels, as the training saw them."""
    if fitted.augmented is None:
        return []
    data, seed = prepared.data, prepared.recipe.seed
    train = data.part("train")
    chosen = np.unique(np.linspace(0, len(train) - 1, REPORTED_AUGMENTED_PICTURES).astype(int))
    drawn = [fitted.augmented.draw(chosen, np.random.default_rng((seed, i))) for i in range(REPORTED_VERSIONS)]
    return [
        {
            "picture": data.picture(data.paths[train[sample]]),
            "label": data.task.names(data.labels[train[sample]], data.classes),
            "versions": [
                {
                    "picture": np.rint(pictures[i]).clip(0, 255).astype("uint8"),
                    "label": data.task.names(labels[i], data.classes),
                }
                for pictures, labels in drawn
            ],
        }
        for i, sample in enumerate(chosen)
    ]
