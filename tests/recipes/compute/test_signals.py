"""SIGTERM and SIGHUP end a command as Ctrl-C does: what was there stays, its processes end, and the command goes on later."""

import os
import signal
import time
from pathlib import Path

import commands
import pytest
from helpers import few_digits

from recipes import cli

STATUS = {signal.SIGTERM: 143, signal.SIGHUP: 129, signal.SIGINT: 130}


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return few_digits(tmp_path_factory.mktemp("digits"))


def processes(word):
    """The processes that run a command whose words have this one among them."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if word in entry.read_bytes().decode(errors="replace"):
                found.append(int(entry.parent.name))
        except OSError:
            continue
    return found


@pytest.mark.slow
@pytest.mark.fault(
    "Runs",
    "SIGTERM (a cluster, `docker stop`) or SIGHUP (a closed terminal) while a run trains, and a second run in its `--output`",
    "As after Ctrl-C: the earlier run stays, nothing is left beside it, status 143 or 129. The second run is refused.",
    "One handler for all three; who started a command with `nohup` is not stopped by SIGHUP.",
)
def test_signals_end_a_training_and_leave_what_was_there(digits, tmp_path):
    output = tmp_path / "run"
    short = ["finetune", digits, "--model", "lenet5", "--strategy", "small", "--output", output]
    assert commands.zoo(*short).poll() == 0
    before = {path.name: path.read_bytes() for path in output.iterdir()}
    long = ["finetune", digits, "--model", "lenet5", "--strategy", "scratch", "--epochs", "9999", "--output", output]
    sighup = "import signal; signal.signal(signal.SIGHUP, signal.{})"  # whatever this session was started with
    for number in STATUS:
        command = commands.start(*long, setup=sighup.format("SIG_IGN" if number == signal.SIGTERM else "SIG_DFL"))
        command.wait_until(lambda command: "strategy scratch" in command.stdout)
        if number == signal.SIGTERM:
            second = commands.refused(*short)
            assert f"--output {output} is being written by process {command.pid} on " in second
            command.signal(signal.SIGHUP)  # as a terminal does that closes, under nohup
            time.sleep(1)
            assert command.poll() is None
        command.signal(number)
        assert command.wait(60) == STATUS[number], command.stderr
        assert "Traceback" not in command.stderr
        assert command.stderr.strip().splitlines()[-1].startswith("zoo: interrupted; the output folder is as it was")
        assert {path.name: path.read_bytes() for path in output.iterdir()} == before and os.listdir(tmp_path) == ["run"]
    assert processes(str(output)) == []


@pytest.mark.slow
def test_after_a_kill_the_next_run_has_the_folder(digits, tmp_path):
    words = ["finetune", digits, "--model", "lenet5", "--output", tmp_path / "run"]
    command = commands.start(*words, "--strategy", "scratch", "--epochs", "9999")
    command.wait_until(lambda command: "strategy scratch" in command.stdout)
    command.signal(signal.SIGKILL)
    assert command.wait(60) == -signal.SIGKILL and len(os.listdir(tmp_path)) == 2
    assert commands.zoo(*words, "--strategy", "small").poll() == 0 and os.listdir(tmp_path) == ["run"]


@pytest.mark.slow
@pytest.mark.fault(
    "Search",
    "SIGTERM to `zoo tune --workers 2`",
    "All workers end, their trials wait for whoever comes next, status 143; the same command goes on from there.",
    "The command ends its workers, and each gives its trial back.",
)
def test_a_search_ends_with_its_workers_and_goes_on(digits, tmp_path):
    output = tmp_path / "search"
    words = ["tune", digits, "--model", "lenet5", "--epochs", "2000", "--output", output, "--tuner", "random"]
    command = commands.start(*words, "--trials", "60", "--workers", "2")
    command.wait_until(lambda command: len(processes(str(output))) >= 2 and " done, 2 running" in command.stderr, 120)
    workers = processes(str(output))
    command.signal(signal.SIGTERM)
    assert command.wait(60) == 143 and "Traceback" not in command.stderr, command.stderr
    assert not set(workers) & set(processes(str(output)))
    again = commands.start(*words, "--trials", "60")
    again.wait_until(lambda command: "so far" in command.stdout)
    assert "waiting" in again.stdout and "failed" not in again.stdout
    again.signal(signal.SIGTERM)
    assert again.wait(60) == 143


@pytest.mark.slow
def test_a_signal_while_keras_is_imported(tmp_path):
    command = commands.start("describe", "lenet5", is_fresh=True, setup="print('begun', flush=True)")
    command.wait_until(lambda command: "begun" in command.stdout)
    time.sleep(2)
    command.signal(signal.SIGTERM)
    assert command.wait(60) == 143 and "Traceback" not in command.stderr


def test_what_an_interrupted_command_has_kept_is_said_as_it_is(monkeypatch, capsys):
    def interrupted(settings):
        raise KeyboardInterrupt

    for name, kept in (("models", False), ("check", True)):
        monkeypatch.setattr(f"recipes.{name}.run", interrupted)
        assert cli.main([name, *(["photos"] if kept else [])]) == 130
        said = capsys.readouterr().err
        assert ("the same command goes on from there." in said) is kept
        assert ("no file is half written: the same command begins anew." in said) is not kept
