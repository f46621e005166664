"""What an import writes beside the file that it reads takes the place of nothing that it should not."""

import os
from pathlib import Path

import pytest

from callguard.errors import InputError
from callguard.lists.ownfile import beside, check_not_input


@pytest.mark.parametrize("name", ["device", "pipe", "folder", "link"])
def test_what_is_no_file_is_not_written_over(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("/dev/null")
    path = Path("/dev/null") if name == "device" else tmp_path / name
    with pytest.raises(InputError, match="is no file") as refused:
        check_not_input(tmp_path / "list.txt", path)
    assert refused.value.where == str(path)


def test_a_new_name_and_another_file_may_be_written(tmp_path: Path) -> None:
    (tmp_path / "old.csv").touch()
    check_not_input(tmp_path / "list.txt", tmp_path / "new.csv", tmp_path / "old.csv")


def test_a_name_that_would_be_too_long_is_a_clear_error(tmp_path: Path) -> None:
    source = tmp_path / ("x" * 250)
    source.touch()
    with pytest.raises(InputError, match="cannot be written: File name too long") as refused:
        check_not_input(source, beside(source, ".rejected.csv"))
    assert refused.value.allowed == "--rejected OTHER"


@pytest.mark.parametrize("path", ["", ".", "/"])
def test_beside_what_has_no_name_there_is_nothing(path: str) -> None:
    with pytest.raises(InputError, match="not the name of a file"):
        beside(Path(path), ".rejected.csv")
