"""The spool loses nothing and doubles nothing, and a torn line does not stop it."""

import os
import stat
import threading
from pathlib import Path

import pytest

from callguard.journal.rows import Row, decision_row, outcome_row
from callguard.journal.spool import Spool, Spooled
from tests.rig.decisions import a_decision, an_outcome


class Taken:
    """What came out of a spool."""

    def __init__(self) -> None:
        self.decisions: list[Row] = []
        self.outcomes: list[Row] = []

    def add(self, lines: Spooled) -> None:
        self.decisions += lines.decisions
        self.outcomes += lines.outcomes


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "state" / "journal.spool")


def drained(spool: Spool) -> Taken:
    taken = Taken()
    spool.drain(taken.add)
    return taken


def test_rows_come_back_in_their_order_and_once(spool: Spool) -> None:
    decisions = [a_decision(text=f"line\n{number}") for number in range(1200)]
    for decision in decisions[:2]:
        spool.append(decisions=[decision_row(decision)])
    spool.append(decisions=[decision_row(decision) for decision in decisions[2:]])
    spool.append(outcomes=[outcome_row(an_outcome(decisions[0]))])
    taken = drained(spool)
    assert taken.decisions == [decision_row(decision) for decision in decisions]
    assert taken.outcomes == [outcome_row(an_outcome(decisions[0]))]
    assert spool.is_empty()
    assert drained(spool).decisions == []


def test_a_decision_that_an_earlier_version_spooled_is_not_lost(spool: Spool) -> None:
    row = decision_row(a_decision())
    earlier = {key: value for key, value in row.items() if key not in ("steps", "allowed_from")}
    spool.append(decisions=[earlier])
    assert drained(spool).decisions == [row]


def test_nobody_else_may_read_the_spool(spool: Spool) -> None:
    spool.append(decisions=[decision_row(a_decision())])
    assert stat.S_IMODE(spool.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(spool.path.parent.stat().st_mode) == 0o700


def test_what_the_database_does_not_take_stays_in_the_spool(spool: Spool) -> None:
    row = decision_row(a_decision())
    spool.append(decisions=[row])

    def away(_lines: Spooled) -> None:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        spool.drain(away)
    assert drained(spool).decisions == [row]


def test_a_torn_last_line_is_set_aside_and_the_others_are_taken(spool: Spool) -> None:
    whole, after = decision_row(a_decision()), decision_row(a_decision())
    spool.append(decisions=[whole])
    with spool.path.open("ab") as file:
        file.write(b'decision {"id": "01m7')
    spool.append(decisions=[after])
    assert drained(spool).decisions == [whole, after]
    assert spool.damaged.read_bytes() == b'decision {"id": "01m7\n'
    assert stat.S_IMODE(spool.damaged.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "line",
    [
        b"", b"\0", b"\xff\xfe", b"decision", b"decision []", b"decision {}", b"decision null", b"outcome 1",
        b'outcome {"decision_id": "x", "result": "answered", "ended_at": 1e400}', b"gossip {}",
    ],
)  # fmt: skip
def test_a_line_that_is_no_record_is_set_aside(spool: Spool, line: bytes) -> None:
    row = decision_row(a_decision())
    spool.path.parent.mkdir()
    spool.path.write_bytes(line + b"\n")
    spool.append(decisions=[row])
    assert drained(spool).decisions == [row]
    assert not line or spool.damaged.read_bytes() == line + b"\n"


def test_a_spool_that_is_only_a_torn_line_is_emptied(spool: Spool) -> None:
    spool.path.parent.mkdir()
    spool.path.write_bytes(b"decision {")
    assert drained(spool).decisions == []
    assert spool.is_empty()


def test_what_is_appended_while_the_spool_is_drained_is_not_lost(spool: Spool) -> None:
    """Several processes share the file: it may only be emptied of what was taken from it."""
    rows = [decision_row(a_decision()) for _ in range(400)]
    other = Spool(spool.path)
    done = threading.Event()

    def append() -> None:
        for row in rows:
            other.append(decisions=[row])
        done.set()

    taken = Taken()
    thread = threading.Thread(target=append)
    thread.start()
    while not done.is_set():
        spool.drain(taken.add)
    thread.join()
    spool.drain(taken.add)
    assert taken.decisions == rows
    assert not spool.damaged.exists()


def test_two_processes_do_not_drain_at_once(spool: Spool) -> None:
    spool.append(decisions=[decision_row(a_decision())])

    def another(_lines: Spooled) -> None:
        with pytest.raises(BlockingIOError):
            drained(Spool(spool.path))

    spool.drain(another)
    assert spool.is_empty()


def test_a_spool_that_somebody_empties_while_it_is_drained_ends_the_drain(spool: Spool) -> None:
    spool.append(decisions=[decision_row(a_decision()) for _ in range(1200)])
    taken = Taken()

    def emptied(lines: Spooled) -> None:
        taken.add(lines)
        spool.path.write_bytes(b"")

    spool.drain(emptied)
    assert 0 < len(taken.decisions) <= 1200


def test_a_spool_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match=r"Not a directory|File exists"):
        Spool(tmp_path / "file" / "journal.spool").append(decisions=[decision_row(a_decision())])


def test_an_append_that_fails_half_way_leaves_no_torn_line(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = decision_row(a_decision())
    spool.append(decisions=[row])
    write = os.write

    def full(descriptor: int, data: bytes) -> int:
        if len(data) < 100:
            raise OSError(28, "No space left on device")
        return write(descriptor, data[: len(data) - 50])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        spool.append(decisions=[decision_row(a_decision())])
    monkeypatch.undo()
    assert drained(spool).decisions == [row]
    assert not spool.damaged.exists()
