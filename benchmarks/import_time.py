"""What `from zoo import vgg16` costs beside `import keras`, which it needs: CPU seconds of fresh processes, in turns.

python benchmarks/import_time.py
"""

import os
import statistics
import subprocess
import sys

import processors

STATEMENTS = ("import keras", "from zoo import vgg16")


def cpu_seconds(statement: str) -> float:
    before = processors.seconds()
    subprocess.run(
        [sys.executable, "-c", statement],
        check=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        stderr=subprocess.DEVNULL,
    )
    return processors.seconds() - before


def main() -> None:
    for statement in STATEMENTS:
        cpu_seconds(statement)  # compiled to bytecode, files in memory
    rounds = [[cpu_seconds(statement) for statement in STATEMENTS] for _ in range(9)]
    keras, zoo = (statistics.median(column) for column in zip(*rounds, strict=True))
    ratios = [own / base for base, own in rounds]
    print(
        f"import keras {keras:.2f} s, from zoo import vgg16{zoo:.2f} s, ratio {statistics.median(ratios):.3f} "
        f"({min(ratios):.3f} to {max(ratios):.3f})"
    )


if __name__ == "__main__":
    main()
