"""The file of rejected lines is there when it is complete, and harmless."""

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from callguard.errors import InputError
from callguard.lists.formats.reading import Rejected
from callguard.lists.rejectedfile import SHOWN, RejectedFile


def rejected(line: int, text: str = "abc") -> Rejected:
    return Rejected("us.txt", line, text, "not a number")


def test_every_rejected_line_is_in_it_and_the_first_ones_are_shown(tmp_path: Path) -> None:
    path = tmp_path / "us.txt.rejected.csv"
    with RejectedFile(path) as file:
        file.add(rejected(line) for line in range(1, 8))
        file.add([rejected(8, '=cmd,"x"'), rejected(9, "+1"), *(rejected(line) for line in range(10, 30))])
        assert not path.exists()
        assert file.finish() == path
    with path.open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert [row["line"] for row in rows] == [str(line) for line in range(1, 30)]
    assert [row["text"] for row in rows[6:9]] == ["abc", '\'=cmd,"x"', "'+1"]
    assert (file.count, [one.line for one in file.first]) == (29, list(range(1, SHOWN + 1)))
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_without_rejected_lines_there_is_no_file(tmp_path: Path) -> None:
    with RejectedFile(tmp_path / "x.csv") as file:
        file.add([])
        assert file.finish() is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "stays"),
    [("file,line,reason,text\r\nus.txt,1,x,y\r\n", False), ("number,reason\n", True), ("", True)],
)
def test_what_an_earlier_import_left_goes_where_nothing_is_rejected(
    tmp_path: Path, content: str, stays: bool
) -> None:
    path = tmp_path / "x.csv"
    path.write_text(content)
    with RejectedFile(path) as file:
        assert file.finish() is None
    assert path.exists() is stays


def test_an_import_that_fails_leaves_no_half_file(tmp_path: Path) -> None:
    def lines() -> Iterator[Rejected]:
        yield rejected(1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), RejectedFile(tmp_path / "x.csv") as file:
        file.add(lines())
    assert list(tmp_path.iterdir()) == []


def test_a_link_that_somebody_left_there_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "x.csv.part").symlink_to(victim)
    with pytest.raises(InputError, match="--rejected"), RejectedFile(tmp_path / "x.csv") as file:
        file.add([rejected(1)])
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("path", ["", ".", "/"])
def test_what_has_no_name_is_a_clear_error(path: str) -> None:
    with pytest.raises(InputError, match="not the name of a file"):
        RejectedFile(Path(path))


def test_a_folder_that_is_not_there_is_a_clear_error(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match="cannot be written"),
        RejectedFile(tmp_path / "no" / "x.csv") as file,
    ):
        file.add([rejected(1)])
