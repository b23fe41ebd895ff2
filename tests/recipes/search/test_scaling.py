"""The files for clusters: what they start is a command of ours, and their parts fit together."""

import os
import re
import shlex
import subprocess

import pytest
from helpers import ROOT

from recipes import cli
from recipes.settings.tune import Tuning

FILES = ROOT / "docs" / "scaling"
# Of `man sbatch`: those that the script uses.
SBATCH = {
    "job-name": r"[\w-]+",
    "array": r"\d+-\d+",
    "ntasks": r"1",
    "cpus-per-task": r"\d+",
    "mem": r"\d+[MGT]",
    "gres": r"gpu:\d+",
    "time": r"\d\d:\d\d:\d\d",
    "signal": r"TERM@\d+",
    "requeue": None,
    "output": r"[\w-]*%A-%a[\w.-]*",
}


def executable(path, text):
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)


def slurm(tmp_path, **environment):
    """What the script does where there are an srun and a zoo that show their arguments."""
    executable(tmp_path / "srun", 'exec "$@"')
    executable(tmp_path / "zoo", 'printf "%s\\n" "$@"')
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_ARRAY_TASK_ID": "7"} | environment
    return subprocess.run(["bash", FILES / "search.slurm"], env=environment, capture_output=True, text=True)


def test_the_slurm_script_starts_a_worker_of_the_search(tmp_path):
    done = slurm(tmp_path, ZOO_STORAGE="postgresql://zoo@database/zoo", ZOO_DATA="/shared/my photos", ZOO_STUDY="bees")
    assert done.returncode == 0, done.stderr
    command, *arguments = done.stdout.splitlines()
    settings = cli.read_settings(command, arguments)
    assert isinstance(settings, Tuning) and str(settings.data) == "/shared/my photos"
    assert (settings.storage, settings.study, settings.trials) == ("postgresql://zoo@database/zoo", "bees", 1000)
    assert (settings.workers, str(settings.output)) == (1, "runs/bees-7")


def test_the_slurm_script_says_what_it_misses(tmp_path):
    done = slurm(tmp_path, ZOO_DATA="/shared/photos")
    assert done.returncode != 0 and "ZOO_STORAGE: the address of the PostgreSQL server" in done.stderr


def test_the_lines_for_sbatch_are_options_of_sbatch():
    subprocess.run(["bash", "-n", FILES / "search.slurm"], check=True)
    lines = (FILES / "search.slurm").read_text().splitlines()
    assert lines[0] == "#!/bin/bash"
    options = [line.removeprefix("#SBATCH --") for line in lines if line.startswith("#SBATCH")]
    assert len(options) == len(SBATCH)
    for name, _, value in (option.partition("=") for option in options):
        assert SBATCH[name] is None and not value or re.fullmatch(SBATCH[name], value), name
    # sbatch reads them up to the first command
    first = next(i for i, line in enumerate(lines) if line and not line.startswith("#"))
    assert not any(line.startswith("#SBATCH") for line in lines[first:])


def test_the_parts_for_kubernetes_fit_together():
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed: the files for Kubernetes cannot be read")
    parts = {part["kind"]: part for part in yaml.safe_load_all((FILES / "search.yaml").read_text())}
    assert parts.keys() == {"Secret", "Service", "StatefulSet", "PersistentVolumeClaim", "Job"}
    assert all(part["apiVersion"] and part["metadata"]["name"] for part in parts.values())
    server, job = (parts[kind]["spec"]["template"] for kind in ("StatefulSet", "Job"))
    (database,), (worker,) = server["spec"]["containers"], job["spec"]["containers"]

    command, *arguments = [*worker["command"], *worker["args"]][1:]
    settings = cli.read_settings(command, [word.replace("$(POD)", "worker-1") for word in arguments])
    address = re.fullmatch(r"postgresql://(\w+)@([\w-]+)/(\w+)", settings.storage)
    variables = {one["name"]: one for container in (database, worker) for one in container["env"]}
    assert address[1] == variables["POSTGRES_USER"]["value"] and address[3] == variables["POSTGRES_DB"]["value"]
    assert address[2] == parts["Service"]["metadata"]["name"] == parts["StatefulSet"]["spec"]["serviceName"]
    assert parts["Service"]["spec"]["selector"] == server["metadata"]["labels"]
    assert parts["StatefulSet"]["spec"]["selector"]["matchLabels"] == server["metadata"]["labels"]
    assert parts["Service"]["spec"]["ports"][0]["port"] == database["ports"][0]["containerPort"] == 5432
    for name in ("POSTGRES_PASSWORD", "PGPASSWORD"):
        secret = variables[name]["valueFrom"]["secretKeyRef"]
        assert secret["name"] == parts["Secret"]["metadata"]["name"] and secret["key"] in parts["Secret"]["stringData"]
    assert variables["POD"]["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"

    (volume,) = job["spec"]["volumes"]
    assert volume["persistentVolumeClaim"]["claimName"] == parts["PersistentVolumeClaim"]["metadata"]["name"]
    mount = worker["volumeMounts"][0]
    assert mount["name"] == volume["name"]
    for path in (settings.data, settings.output, variables["ZOO_CACHE"]["value"]):
        assert str(path).startswith(mount["mountPath"] + "/")
    assert {m["name"] for m in database["volumeMounts"]} == {
        claim["metadata"]["name"] for claim in parts["StatefulSet"]["spec"]["volumeClaimTemplates"]
    }
    # A work queue: no number of completions, and each pod ends by itself; one that fails is replaced.
    assert "completions" not in parts["Job"]["spec"] and parts["Job"]["spec"]["parallelism"] > 1
    assert settings.workers == 1 and worker["resources"]["limits"]["nvidia.com/gpu"] == 1
    connections = int(re.fullmatch(r"max_connections=(\d+)", database["args"][1])[1])
    assert connections > 2 * parts["Job"]["spec"]["parallelism"]


def test_the_commands_of_the_page_are_ours():
    page = (ROOT / "docs" / "scaling.md").read_text()
    commands = re.findall(r"^    (zoo tune .*?)(?: +#.*)?$", page, re.MULTILINE)
    assert len(commands) >= 3
    for command in commands:
        assert isinstance(cli.read_settings("tune", shlex.split(command)[2:]), Tuning)
    for path in re.findall(r"\]\((scaling/[^)]*)\)", page):
        assert (ROOT / "docs" / path).exists(), path
