"""What benchmarks conclude from what they measure."""

import pytest

from benchmarks import check, gpu


@pytest.mark.parametrize(
    ("kept", "now", "verdict"),
    [
        ([1.0, 1.1, 1.2], [1.5, 1.6, 1.7], "dearer"),
        ([1.5, 1.6, 1.7], [1.0, 1.1, 1.2], "cheaper"),
        ([1.0, 1.1, 1.9], [1.5, 1.6, 1.7], "as before"),  # rounds that were kept had been as dear
        ([1.0, 1.1, 1.2], [1.0, 1.6, 1.7], "as before"),  # one of these rounds was as cheap
        ([1.0, 1.01, 1.02], [1.05, 1.06, 1.07], "as before"),  # beyond noise, and too little to say
    ],
)
def test_what_moved_is_told_from_noise(kept, now, verdict):
    assert check.moved(kept, now) == verdict


@pytest.mark.parametrize(("benchmark", "flag"), [(check, "--rounds"), (gpu, "--rounds"), (gpu, "--batch"), (gpu, "--repeats")])
def test_nothing_is_concluded_from_no_rounds(benchmark, flag, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["benchmark", flag, "0"])
    with pytest.raises(SystemExit) as ended:
        benchmark.main()
    assert ended.value.code == 2 and f"{flag}" in capsys.readouterr().err
