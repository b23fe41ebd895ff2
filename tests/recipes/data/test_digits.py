"""The digits of the demonstration: written as a whole, completed, and never over what somebody else has there."""

import pytest

from recipes.data.digits import divided, write_digits
from recipes.errors import UserError


@pytest.mark.fault(
    "Runs",
    "`zoo demo` with an output that holds a folder `digits` of the user's, or of another `--images-per-class`",
    "refused, with one of the files; all stay",
    "a picture in both parts would be measured as learnt, and a user's pictures are not ours to remove",
)
def test_what_is_there_is_kept(tmp_path):
    mine = tmp_path / "digits" / "mine" / "photo.jpg"
    mine.parent.mkdir(parents=True)
    mine.write_text("years of work")
    with pytest.raises(UserError, match=r"holds other pictures in digits/ .*, such as mine/photo\.jpg: .* another --output"):
        write_digits(tmp_path / "digits", 10, seed=0)
    assert mine.read_text() == "years of work" and [path.name for path in tmp_path.iterdir()] == ["digits"]


@pytest.mark.slow
def test_a_part_is_completed_and_other_settings_are_refused(tmp_path):
    folder, wanted = tmp_path / "digits", divided(10, seed=0)
    write_digits(folder, 10, seed=0)
    (folder / next(iter(wanted))).unlink()
    write_digits(folder, 10, seed=0)
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*.png")} == wanted.keys()
    assert sum(name.startswith("train/") for name in wanted) == 100
    with pytest.raises(UserError, match="of other settings"):
        write_digits(folder, 20, seed=0)
