"""What commands say: tables on a terminal and in a file, and the commands to type next."""

import io
import os
import pty
import re
import shlex
import sys

import commands
import pytest
from helpers import digits_folder

from recipes import console
from zoo.progress import Progress

ROWS = [
    {"part": "train", "images": 244, "accuracy (95 % interval)": "100.0 % (98.4 % to 100.0 %)"},
    {"part": "test \x1b[31m", "images": 9, "accuracy (95 % interval)": "[b]66.7 %[/b] (35.4 % to 87.9 %)"},
]


class Terminal(io.TextIOWrapper):
    """A stream that leads to a terminal of so many columns."""

    def __init__(self, columns=100, encoding="utf-8"):
        self.master, slave = pty.openpty()
        import fcntl
        import struct
        import termios

        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        super().__init__(io.BufferedWriter(io.FileIO(slave, "w")), encoding=encoding, write_through=True)

    def shown(self):
        """What has been written to it."""
        self.flush()
        return os.read(self.master, 1 << 16).decode("utf-8", "replace").replace("\r\n", "\n")


@pytest.fixture
def terminal(monkeypatch):
    """Make a standard stream a terminal."""
    for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")

    streams = []

    def of(name, **how):
        streams.append(Terminal(**how))
        monkeypatch.setattr(sys, name, streams[-1])
        return streams[-1]

    yield of
    monkeypatch.undo()
    for stream in streams:
        stream.close()
        os.close(stream.master)


def test_a_table_in_a_file_is_aligned_text_alone(capsys):
    console.show(ROWS)
    assert capsys.readouterr().out == (
        "part           images  accuracy (95 % interval)\n"
        "train             244  100.0 % (98.4 % to 100.0 %)\n"
        "test \\x1b[31m       9  [b]66.7 %[/b] (35.4 % to 87.9 %)\n"
    )


def test_a_table_on_a_terminal_has_lines(terminal):
    stream = terminal("stdout")
    console.show(ROWS)
    shown = re.sub(r"\x1b\[[\d;]*m", "", text := stream.shown())
    assert "─" * 20 in shown and "\x1b[" in text
    assert r"test \x1b[31m" in shown and "[b]66.7 %[/b] (35.4 % to 87.9 %)" in shown  # neither a command nor markup


@pytest.mark.parametrize("columns", [30, 200])
def test_a_table_is_no_wider_than_the_terminal(columns, terminal, monkeypatch):
    stream = terminal("stdout", columns=columns)
    monkeypatch.setattr(sys, "__stdout__", stream)
    console.show(ROWS)
    assert max(map(len, re.sub(r"\x1b\[[\d;]*m", "", stream.shown()).splitlines())) <= columns


def test_a_terminal_without_those_letters(terminal):
    stream = terminal("stdout", encoding="ascii")
    console.show([{"class": "名", "images": 1}])
    shown = stream.shown()
    assert shown.isascii() and "---" in shown and "\\u540d" in shown


def test_commands_are_quoted_and_those_that_cannot_be_pasted_left_out(capsys):
    words = ["zoo", "predict", "my runs/a'b", "$x;y.jpg"]
    console.suggest({"one": words, "two": [], "three": ["zoo", "predict", "a\x1bb"]})
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == ["", "next:", "  one:"] and len(lines) == 4 and shlex.split(lines[3]) == words
    console.suggest({"three": ["zoo", "predict", "a\nb"]})
    assert capsys.readouterr().out == ""


def test_progress_is_one_line_of_the_terminal(terminal):
    stream = terminal("stderr", columns=24)
    with Progress("a label that is longer than that", 2, "images") as progress:
        progress.advance(2)
    lines = stream.shown().replace("\x1b[K", "").replace("\n", "\r").split("\r")
    assert max(map(len, lines)) == 23


def test_a_log_has_the_last_line_of_progress_once(capsys, monkeypatch):
    """Even where the last step took the 10 s after which a line is written in any case."""
    clock = iter(range(0, 1000, 11))
    monkeypatch.setattr("zoo.progress.time.monotonic", lambda: next(clock))
    with Progress("reading", 2, "images") as progress:
        progress.advance()
        progress.advance()
    assert [line.split()[1] for line in capsys.readouterr().err.splitlines()] == ["1/2", "2/2"]


@pytest.mark.parametrize("compiles, left", [(False, "1:45 left"), (True, "0:33 left")])
def test_a_first_step_that_compiles_says_nothing_of_the_time_left(compiles, left, capsys, monkeypatch):
    """One step of 59 s, and then one of 11 s: three more take 33, and not three times 35."""
    now = [0.0]
    monkeypatch.setattr("zoo.progress.time.monotonic", lambda: now[0])
    progress = Progress("fine-tune", 5, "steps", compiles=compiles)
    for seconds in (59.0, 11.0):
        now[0] += seconds
        progress.advance()
    assert left in capsys.readouterr().err.splitlines()[-1]


def test_progress_of_what_was_done_before_has_no_rate(capsys):
    with Progress("trial of large", 168, "steps") as progress:
        progress.skip(168)
    assert capsys.readouterr().err == "trial of large  168/168 steps  done before\n"


@pytest.mark.slow
def test_what_a_run_says_comes_next_works_when_pasted(tmp_path):
    digits_folder(tmp_path / "my 'digits'", 6)
    common = ("--model", "lenet5", "--strategy", "small", "--mirror", "no", "--output", "a run")
    done = commands.zoo("finetune", "my 'digits'", *common, cwd=tmp_path)
    classify, seeds = commands.said_next(done.stdout)
    guess = commands.zoo(*classify, cwd=tmp_path)
    assert guess.poll() == 0 and re.fullmatch(r".*/(\d)/.*\.png  (\d [\d.]+  ){2}\d [\d.]+\n", guess.stdout)
    again = commands.zoo(*seeds, cwd=tmp_path)
    assert again.poll() == 0 and "test, mean over 5 seeds" in again.stdout
    assert [words[0] for words in commands.said_next(again.stdout)] == ["predict"]  # five seeds are there already
    assert (tmp_path / "a run-5-seeds" / "report.html").exists()


@pytest.mark.slow
def test_what_check_says_comes_next_works_when_pasted(tmp_path):
    digits_folder(tmp_path / "my digits", 6)
    done = commands.zoo("check", "my digits", "--output", "seen", cwd=tmp_path)
    (train,) = commands.said_next(done.stdout)
    trained = commands.zoo(*train, "--model", "lenet5", "--strategy", "small", cwd=tmp_path)
    assert trained.poll() == 0, trained.stderr
    assert "Corrections of corrections.csv: none is active." in trained.stdout
    assert (tmp_path / "runs/finetune/my digits/result.json").exists()
