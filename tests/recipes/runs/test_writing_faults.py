"""Places that cannot be written: one sentence with path, needed and free space, status 2, and what was there stays."""

import contextlib
import os
import re
import subprocess
import tempfile
from pathlib import Path

import commands
import pytest
from helpers import few_digits

LIMITED = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0}))"
OUTPUT_TO = "import os; os.dup2(os.open({!r}, os.O_WRONLY), {})"
NOBODY = "import os; os.seteuid(65534)"
NEED = r"it needs [1-9][\d.]* (kB|MB|bytes?) or more, and [\d.]+ (kB|MB|bytes?) are free"
FULL = r"cannot be written \(No space left on device\): " + NEED


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return few_digits(tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="module")
def words(digits):
    return ["finetune", digits, "--model", "lenet5", "--strategy", "small"]


@pytest.fixture(scope="module")
def finished(words, tmp_path_factory):
    """A finished run, as {name: bytes} and its folder."""
    output = tmp_path_factory.mktemp("finished") / "run"
    assert commands.zoo(*words, "--output", output).poll() == 0
    return {path.name: path.read_bytes() for path in output.iterdir()}, output


def make_readable(folder):
    """Let whoever is not root find a folder of pytest's, which are the user's alone, and read what is in it."""
    root = Path(tempfile.gettempdir())
    for path in (*(parent for parent in folder.parents if parent.is_relative_to(root) and parent != root), folder):
        path.chmod(0o755)
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


@contextlib.contextmanager
def small_disk(folder, size):
    """Mount a disk of so many bytes; skips where that is not allowed."""
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("no disk can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.slow
@pytest.mark.fault(
    "Runs",
    "the disk of `--output` is full: at the model, or at the report",
    "The sentence names the file, what the run needs and what is free; exit status 2, and the earlier run is as it was.",
    "A run appears as a whole; the model's size is known before it is written.",
)
def test_a_full_disk_of_the_output(words, tmp_path):
    with small_disk(tmp_path / "disk", 200_000) as disk:
        said = commands.refused(*words, "--output", disk / "run")
        assert re.search(f"--output {disk}/run/model.keras {FULL}", said) and os.listdir(disk) == []
    with small_disk(tmp_path / "other", 360_000) as disk:
        said = commands.refused(*words, "--output", disk / "run")
        assert re.search(f"--output {disk}/run/[a-z]+.[a-z]+ {FULL}", said) and os.listdir(disk) == []


@pytest.mark.slow
@pytest.mark.fault(
    "Runs",
    "the disk of the cache is full",
    "The sentence names the cache and `ZOO_CACHE`; exit status 2, and the output is as it was.",
    "What is kept there is there for speed alone, but a run that could not keep its states would lose them.",
)
def test_a_full_disk_of_the_cache(words, tmp_path):
    with small_disk(tmp_path / "disk", 16_384) as disk:
        said = commands.refused(*words, "--output", tmp_path / "run", ZOO_CACHE=str(disk / "cache"))
    assert str(disk) in said and "0.0 GB" not in said and not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("limit", [3_000, 200_000])
def test_a_limit_of_a_files_size_leaves_the_old_run(limit, words, finished):
    before, output = finished
    said = commands.refused(*words, "--output", output, setup=LIMITED.format(limit))
    assert re.search(r"model.keras cannot be written \(File too large\): it needs 29\d kB or more, and", said)
    assert {path.name: path.read_bytes() for path in output.iterdir()} == before
    assert os.listdir(output.parent) == ["run"]


@pytest.mark.slow
@pytest.mark.fault(
    "Runs",
    "an output, or its folder, that may only be read",
    "The sentence names `--output` and the reason; exit status 2, before anything is computed.",
    "It is tried before anything else is worked on.",
)
@pytest.mark.parametrize("command", ["finetune", "tune", "inspect_kernels", "demo"])
def test_a_folder_that_may_only_be_read(command, digits, tmp_path):
    (tmp_path / "fixed").mkdir()
    for folder in (tmp_path, digits):
        make_readable(folder)
    (tmp_path / "fixed").chmod(0o555)
    setup = NOBODY if os.geteuid() == 0 else ""
    given = [digits, "--model", "lenet5"] if command in ("finetune", "tune") else []
    said = commands.refused(command, *given, "--output", tmp_path / "fixed" / "run", setup=setup)
    assert f"--output {tmp_path}/fixed/run" in said and "cannot be written (Permission denied)" in said


@pytest.mark.slow
@pytest.mark.fault(
    "Runs",
    "standard output that is full or closed",
    "One sentence and exit status 2; standard error that is full ends nothing.",
    "What a command has to say is lost there; its progress is not needed.",
)
@pytest.mark.parametrize("given", [["models"], ["--help"], ["models", "--help"]])
def test_a_full_standard_output(given):
    said = commands.refused(*given, setup=OUTPUT_TO.format("/dev/full", 1))
    assert said.startswith("zoo: The standard output cannot be written (No space left on device): give it a file on a disk")
    assert commands.zoo(*given, setup=OUTPUT_TO.format("/dev/full", 2)).poll() == 0


@pytest.mark.slow
def test_a_closed_standard_output():
    said = commands.refused("models", setup="import os, sys; os.close(1); sys.stdout = None")
    assert said == "zoo: The standard output is closed: give it a file, or /dev/null."


@pytest.mark.slow
def test_a_full_disk_of_an_experiment_keeps_its_journal(tmp_path):
    with small_disk(tmp_path / "disk", 60_000) as disk:
        said = commands.refused("inspect_kernels", "--output", disk / "run")
        assert re.search(f"{disk}/run/[a-z_0-9]+.png {FULL}", said)
        assert "journal.jsonl" in os.listdir(disk / "run") and ".owner" not in os.listdir(disk / "run")
