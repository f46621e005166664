"""A log that nobody reads does not hold a call up."""

import os
from collections.abc import Iterator

import pytest

from callguard.telemetry.lines import LineStream


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    for descriptor in (reader, writer):
        try:
            os.close(descriptor)
        except OSError:
            continue  # the test closed it


def stream(descriptor: int) -> LineStream:
    return LineStream(descriptor, lambda count: f"dropped {count}")


def test_lines_arrive_whole_and_in_order(pipe: tuple[int, int]) -> None:
    lines = stream(pipe[1])
    lines.write("first\n")
    lines.write("é\udcff\n" + "x" * 10_000 + "\n")
    assert os.read(pipe[0], 65_536).decode() == "first\né\\udcff\n" + "x" * 10_000 + "\n"


def test_a_reader_that_stalls_costs_lines_and_no_time_and_the_loss_is_told(pipe: tuple[int, int]) -> None:
    lines = stream(pipe[1])
    for number in range(3000):  # far more than a pipe holds: a write that waits would wait for ever
        lines.write(f"{number:0100}\n")
    kept = os.read(pipe[0], 1 << 20).decode().splitlines()
    dropped = 3000 - len(kept)
    assert dropped > 1000
    lines.write("after\n")
    assert os.read(pipe[0], 1 << 20).decode() == f"dropped {dropped}\nafter\n"
    lines.write("later\n")
    assert os.read(pipe[0], 1 << 20).decode() == "later\n"


def test_a_line_that_was_taken_in_part_does_not_run_into_the_next(pipe: tuple[int, int]) -> None:
    lines = stream(pipe[1])
    lines.write("x" * 1_000_000 + "\n")
    assert set(os.read(pipe[0], 1 << 20)) == {ord("x")}
    lines.write("after\n")
    assert os.read(pipe[0], 1 << 20).decode() == "\ndropped 1\nafter\n"


def test_a_reader_that_is_gone_is_no_error(pipe: tuple[int, int]) -> None:
    os.close(pipe[0])
    lines = stream(pipe[1])
    lines.write("one\n")
    lines.write("two\n")
    lines.flush()
