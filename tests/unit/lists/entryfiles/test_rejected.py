"""The file of refused rows is that of the last import."""

from pathlib import Path

import pytest

from callguard.lists.entryfiles.rejected import Rejected


@pytest.mark.parametrize(
    ("content", "stays"),
    [("rejected_line,rejected_why,number\r\n2,x,y\r\n", False), ("number\n1\n", True), ("", True)],
)
def test_what_an_earlier_import_left_goes_where_nothing_is_refused(
    tmp_path: Path, content: str, stays: bool
) -> None:
    path = tmp_path / "x.csv"
    path.write_text(content)
    with Rejected(path):
        pass
    assert path.exists() is stays


def test_an_import_that_fails_leaves_the_earlier_file_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("rejected_line,rejected_why\n")
    with pytest.raises(KeyboardInterrupt), Rejected(path):
        raise KeyboardInterrupt
    assert path.exists()
