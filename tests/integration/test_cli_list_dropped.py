"""What a registry list was is still known when it was dropped."""

import json
from typing import Any

import pytest

from tests.rig.listcommands import ONE, TWO, Run, Write, done, refused

pytestmark = pytest.mark.integration


def rows(run: Run, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(done(run("list", *arguments, "--json")))
    return found


def create(run: Run, name: str) -> None:
    done(run("list", "create", name, "--jurisdiction", "US", "--format", "e164-lines", "--by", "tl3"))


def test_the_history_of_a_dropped_list_is_shown_with_who_dropped_it_when(us: Run, write: Write) -> None:
    done(us("list", "import", "us", write("2026-11-01.txt", ONE, TWO), "--yes", "--by", "tl1"))
    done(us("list", "drop", "us", "--yes", "--by", "desk"))
    told = done(us("list", "history", "us"))
    assert "dropped 20" in told.splitlines()[0]
    assert told.splitlines()[0].endswith(" by desk")
    assert "2026-11-01.txt" in told
    (row,) = rows(us, "history", "us")
    assert (row["file"], row["numbers"], row["who"]) == ("2026-11-01.txt", 2, "tl1")
    assert (row["state"], row["dropped_by"]) == ("retired", "desk")
    assert row["dropped_at"] >= row["ended_at"]


def test_of_several_dropped_lists_of_a_name_the_newest_comes_last(us: Run, write: Write) -> None:
    done(us("list", "import", "us", write("first.txt", ONE), "--yes"))
    done(us("list", "drop", "us", "--yes", "--by", "desk"))
    create(us, "us")
    done(us("list", "import", "us", write("second.txt", TWO), "--yes"))
    done(us("list", "drop", "us", "--yes", "--by", "night"))
    create(us, "us")
    done(us("list", "drop", "us", "--yes", "--by", "late"))
    told = done(us("list", "history", "us"))
    order = ["by desk", "first.txt", "by night", "second.txt", "by late", "nothing was imported"]
    assert [told.index(words) for words in order] == sorted(told.index(words) for words in order)
    found = rows(us, "history", "us")
    assert [(row["file"], row["dropped_by"]) for row in found] == [
        ("first.txt", "desk"),
        ("second.txt", "night"),
    ]


def test_a_living_list_has_its_own_history_and_that_of_its_namesakes_on_request(
    us: Run, write: Write
) -> None:
    done(us("list", "import", "us", write("first.txt", ONE), "--yes"))
    done(us("list", "drop", "us", "--yes", "--by", "desk"))
    create(us, "us")
    done(us("list", "import", "us", write("second.txt", TWO), "--yes"))
    (own,) = rows(us, "history", "us")
    assert (own["file"], own["state"], own["dropped_at"], own["dropped_by"]) == (
        "second.txt", "in force", None, None,
    )  # fmt: skip
    assert "dropped" not in done(us("list", "history", "us"))
    (other,) = rows(us, "history", "us", "--dropped")
    assert (other["file"], other["dropped_by"]) == ("first.txt", "desk")
    assert other["list"] != own["list"]


def test_dropped_lists_are_shown_with_what_they_held_last(us: Run, write: Write) -> None:
    assert done(us("list", "show", "--dropped")) == "no list was dropped\n"
    assert rows(us, "show", "--dropped") == []
    done(us("list", "import", "us", write("2026-11-01.txt", ONE), "--yes"))
    done(us("list", "import", "us", write("2026-11-02.txt", ONE, TWO), "--yes"))
    refused(us("list", "import", "us", write("2026-11-03.txt", ONE), "--yes"), "shrink")
    done(us("list", "drop", "us", "--yes", "--by", "desk"))
    create(us, "ny")
    done(us("list", "drop", "ny", "--yes", "--by", "night"))
    create(us, "living")
    first, second = rows(us, "show", "--dropped")
    assert (first["name"], first["numbers"], first["version"], first["data_date"]) == (
        "us", 2, 2, "2026-11-02",
    )  # fmt: skip
    assert (second["name"], second["numbers"], second["version"], second["created_by"]) == (
        "ny", 0, 0, "tl3",
    )  # fmt: skip
    assert (first["dropped_by"], second["dropped_by"]) == ("desk", "night")
    assert rows(us, "show", "ny", "--dropped") == [second]
    told = done(us("list", "show", "--dropped"))
    assert "desk" in told
    assert "living" not in told


@pytest.mark.parametrize("command", ["show", "history"])
def test_a_name_that_no_dropped_list_had_is_refused(us: Run, command: str) -> None:
    refused(us("list", command, "us", "--dropped"), "no registry list 'us' was dropped")
