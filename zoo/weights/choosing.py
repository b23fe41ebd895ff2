"""Which variant and which preprocessing weights need: what they say, else what is asked for, else the only one there is.

What may be one of several is refused: a network that computes a little otherwise answers, too, only worse.
"""

from zoo.preprocessing import MODES, Mode, Preprocessing, parsed
from zoo.weights.formats.tensors import WeightsError
from zoo.weights.forms import Forms, Network, known_modes
from zoo.weights.source import Source


class Undecided(WeightsError):
    """The weights may be for several variants, or need one of several preprocessings, and do not say which."""


def variant_of(network: Network, source: Source | None, asked: str | None) -> str:
    """Choose the form of the network.

    Raises:
        ValueError: there is no such variant.
        WeightsError: the weights are for another.
        Undecided: they are for one of several.
    """
    name = network.name
    if asked is not None and asked not in list(network.modes):
        raise ValueError(f"{name} has the variants {', '.join(network.modes)}, found {asked!r}.")
    if source is None:
        return asked or next(iter(network.modes))
    if source.entry:
        if asked not in (None, source.entry.variant):
            raise WeightsError(
                f"{name} weights {source.entry.tag!r} are for variant {source.entry.variant!r}, found {asked!r}."
            )
        return source.entry.variant
    fitting = source.variants
    if asked is None and len(fitting) > 1:
        raise Undecided(
            f"Weights file {source.path} fits the variants {' and '.join(fitting)} of {name}, which compute differently or "
            f"see pixels scaled otherwise, and does not say its own: give variant= (--variant on the command line)."
        )
    if asked not in (None, *fitting) and not Forms(network, source.saved).are_same([asked, fitting[0]]):
        raise WeightsError(
            f"Weights file {source.path} is for variant {fitting[0]!r} of {name}, found {asked!r}: leave it out."
        )
    return asked or fitting[0]


def preprocessing_of(network: Network, source: Source | None, variant: str, asked: Preprocessing | None) -> Mode | None:
    """Choose the preprocessing; None leaves pixels as they are.

    Raises:
        ValueError: what is asked for is none.
        WeightsError: the weights need another.
        Undecided: they need one of several.
    """
    wanted, own = None if asked is None else parsed(asked), None if source is None else _own(network, source, variant)
    if wanted and own and not own.does(*wanted.affine(3), wanted.bgr):
        raise WeightsError(f"Weights file {source.path} needs the preprocessing {own}, found {wanted}: leave it out.")
    if own or wanted:
        return own or wanted
    if source is None or source.entry:
        return _mode(network.modes[variant])
    if source.unreadable:
        raise Undecided(
            f"Weights file {source.path} {source.unreadable}: give preprocessing= (--preprocessing on the command line), "
            f"one of {', '.join(MODES)}, or mean and deviation."
        )
    choices = known_modes(network, [layout for layout in dict.fromkeys((source.layout, variant)) if layout])
    if len(choices) > 1:
        raise Undecided(
            f"Weights file {source.path} fits {network.name}, variant {variant!r}, whose files need different preprocessing, "
            "and does not say its own: give preprocessing= (--preprocessing on the command line): "
            f"{'; '.join(f'{mode}, as {_listed(tags)}' for mode, tags in choices.items())}."
        )
    return _mode(next(iter(choices)))


def _own(network: Network, source: Source, variant: str) -> Mode | None:
    """Find what the weights say; None if they do not."""
    if source.entry:
        return _mode(source.entry.preprocessing or network.modes[variant])
    return source.preprocessing or (source.card and source.card.preprocessing)


def _mode(name: str | None) -> Mode | None:
    return None if name is None else MODES[name]


def _listed(tags: list[str]) -> str:
    tags = list(dict.fromkeys(tags))
    more = f" and {len(tags) - 2} more" if len(tags) > 2 else ""
    return ", ".join(tags[:2]) + more if tags else "files outside the catalog"
