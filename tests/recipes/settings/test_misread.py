"""A command line that cannot be read is refused in one sentence that names the flag and the nearest."""

import pytest

from recipes import cli
from recipes.errors import UserError

CHOICES = "auto, small, medium, large, full, lp_ft, gradual, scratch, tuned"


@pytest.mark.parametrize(
    "words, said",
    [
        ("evaluate run data --corruption all", "There is no flag --corruption: did you mean --corruptions?"),
        ("predict run new --xyzzy=3", "There is no flag --xyzzy."),
        ("finetune leaves --strategy smal", f"--strategy must be one of {CHOICES}, found 'smal': did you mean small?"),
        ("finetune leaves --image_size=big", "--image-size must be a whole number, found 'big'."),
        ("finetune leaves --learning-rate fast", "--learning-rate must be a number, found 'fast'."),
        ("finetune leaves --no-keep-leaks --keep-leaks=maybe", "--keep-leaks takes no value, found 'maybe'."),
        ("tune leaves --trials", "--trials needs a value behind it: a whole number."),
        ("check one two", "`zoo check` takes DATA, found two as well: a name with spaces needs quotes."),
        ("evaluate run", "DATA is missing, as in `zoo evaluate RUN DATA`."),
        ("finetune", "DATA is missing, or --recipe, as in `zoo finetune DATA`."),
    ],
)
@pytest.mark.fault(
    "Flags",
    "a flag that does not exist, a value that it cannot have, or an argument too few or too many",
    "One sentence names it, what was expected, and the nearest that there is; status 2.",
    "The parser draws a box of several lines with its own type names.",
)
def test_what_cannot_be_read_is_said_in_a_sentence(words, said, capsys):
    name, *arguments = words.split()
    with pytest.raises(UserError) as error:
        cli.read_settings(name, arguments)
    assert str(error.value) == f"{said} `zoo {name} --help` lists its flags."
    assert capsys.readouterr() == ("", "")


def test_what_is_not_found_here_is_what_the_parser_says(monkeypatch):
    from recipes.settings import misread

    box = "╭─ A title ───╮\n│ --seed: not   │\n│ tonight       │\n│ For full helptext, run zoo x --help │\n╰──────╯\n"
    kind = cli.COMMANDS["finetune"].load_settings()
    assert misread.reason("finetune", kind, ["leaves"], box) == ("--seed: not tonight. `zoo finetune --help` lists its flags.")
