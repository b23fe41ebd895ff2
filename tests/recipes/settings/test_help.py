"""What `zoo --help` and `zoo COMMAND --help` print: complete, in words, and as wide as the terminal."""

import dataclasses
import re
import shlex

import pytest
import tyro

from recipes import cli
from recipes.settings import help
from zoo import __version__

WIDTH = 80


@pytest.fixture
def page(monkeypatch, capsys):
    """The help of a command, as a terminal of 80 columns shows it."""

    def printed(*arguments):
        monkeypatch.setenv("COLUMNS", str(WIDTH))
        assert cli.main(arguments) == 0
        return capsys.readouterr().out

    return printed


def entries(text):
    """{flag: all that stands beside it}"""
    flags = re.sub(r"^\w+:$", "", text.partition("\nexamples:")[0], flags=re.M)  # without the titles
    parts = re.split(r"^  (?=\S)", flags, flags=re.M)[1:]
    return {part.split()[0]: " ".join(part.split()) for part in parts}


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_flag_is_there_with_its_default_in_words(name, page):
    shown, kind = entries(page(name, "--help")), cli.COMMANDS[name].load_settings()
    hidden = {"tuned", "fine_tuning"} | {"evaluate": {"batch_size", "engine"}, "features": {"output"}}.get(name, set())
    for field in dataclasses.fields(kind):
        if field.name in hidden:
            continue
        word = "class" if field.name == "class_name" else field.name  # which Python keeps to itself
        said = shown.get(f"--{word.replace('_', '-')}") or shown.get(word.upper()) or shown[f"[{word.upper()}]"]
        assert len(said.split()) > 3 and "None" not in said, said
        if field.default is None or field.default == ():
            assert "not given" in said, said
        elif type(field.default) in (str, int, float):
            assert said.endswith(f"Default: {field.default}."), said
    assert not {f"--{name.replace('_', '-')}" for name in hidden} & shown.keys()


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_lines_are_as_long_as_the_terminal_allows_and_no_longer(name, page):
    lines = page(name, "--help").splitlines()
    assert max(map(len, lines)) <= WIDTH
    indent = " " * 26
    for line, following in zip(lines, lines[1:], strict=False):
        words = following.split()
        if following.startswith(indent) and (line.startswith(indent) or line[24:26] == "  "):
            bound = words[0].startswith("`") or words[0] == "Default:"
            assert bound or len(line) + 1 + len(words[0]) > WIDTH, f"{words[0]} would have fitted:\n{line}\n{following}"


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_the_two_examples_are_read(name, page, tmp_path, monkeypatch):
    examples = page(name, "--help").partition("\nexamples:\n")[2].splitlines()
    assert len(examples) == 2
    monkeypatch.chdir(tmp_path)
    if name == "finetune":
        (tmp_path / "runs/finetune/photos").mkdir(parents=True)
        (tmp_path / "runs/finetune/photos/recipe.json").write_text('{"data": "photos"}')
    for example in examples:
        program, command, *arguments = shlex.split(example)
        assert (program, command) == ("zoo", name)
        cli.read_settings(command, arguments)


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_value_that_it_names_is_taken(name):
    """Words in braces, and N and X for numbers, are what the parser of the flags says of them."""
    kind = cli.COMMANDS[name].load_settings()
    parser_help = _tyro_help(kind)
    for one in help.settings(kind):
        if one.choices:
            assert re.search(rf"{{(None,)?{','.join(one.choices)}}}", parser_help), one
        elif one.value in ("N", "X") and not one.is_positional:
            number = {"N": "INT", "X": "FLOAT"}[one.value]
            assert re.search(rf"{one.flag} (\{{None\}}\|)?{number}\b", parser_help), one


def _tyro_help(kind):
    """What the library that reads the flags says of them, by itself."""
    import contextlib
    import io

    said = io.StringIO()
    with contextlib.redirect_stdout(said), pytest.raises(SystemExit):
        tyro.cli(kind, args=["--help"])
    return said.getvalue()


def test_finetune_begins_with_what_most_users_want(page):
    text = page("finetune", "-h")
    titles = re.findall(r"^(\w+):$", text, re.M)
    assert titles == ["everyday", "data", "model", "training", "head", "evaluation", "run", "examples"]
    everyday = re.findall(r"^  (--\S+)", text.partition("\neveryday:")[2].partition("\ndata:")[0], re.M)
    assert 6 <= len(everyday) <= 8 and "--recipe" in everyday and len(set(everyday)) == len(everyday)


def test_words_that_do_not_fit_are_said(monkeypatch):
    monkeypatch.setenv("COLUMNS", "50")
    text = help.page("finetune", cli.COMMANDS["finetune"].load_settings())
    said = entries(text)["--optimizer"]
    assert "--optimizer WORD" in said and "One of sgd, momentum, nesterov, adagrad, rmsprop, adam, adamw." in said
    assert max(map(len, text.partition("\nexamples:")[0].splitlines())) <= 50


def test_the_overview_has_three_groups_and_every_command_once(page):
    text = page("--help")
    groups = {title: re.findall(r"^  (\w+) ", part, re.M) for title, part in re.findall(r"^(\w+):\n((?:  .*\n)+)", text, re.M)}
    assert list(groups) == ["work", "look", "lecture"]
    assert sorted(name for names in groups.values() for name in names) == sorted(cli.COMMANDS)
    for name, command in cli.COMMANDS.items():
        assert (name in groups["lecture"]) == (command.module.startswith("recipes.lecture."))
    assert max(map(len, text.splitlines())) <= WIDTH


def test_the_version(page):
    assert page("--version") == f"zoo {__version__}\n"
