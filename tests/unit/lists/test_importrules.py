"""Which imports are refused, and which are not."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from callguard.errors import InputError
from callguard.lists.importrules import (
    Limits,
    Mode,
    check_areas,
    check_date,
    check_mode,
    check_order,
    check_rejected,
    check_size,
    doubts,
    lineage,
    new_date,
)
from callguard.lists.registries import Generation

LIMITS = Limits(shrink_percent=10)
TODAY = date(2026, 11, 21)


def generation(
    identity: int, mode: str, digest: str, day: date | None = None, content: int = 0
) -> Generation:
    """A generation that came into force; its version is its id less 100."""
    return Generation(
        id=identity,
        token="1f00c0de",
        registry=1,
        version=identity - 100,
        state="ready",
        content=content or identity,
        mode=mode,
        file="file",
        digest=digest,
        data_date=day,
        begun_at=datetime(2026, 11, 1, tzinfo=UTC),
        ended_at=None,
        who="tl1",
        block_size=10_000,
        blocks=1,
        numbers=10,
        added=0,
        removed=0,
        rejected=0,
    )


FULL = generation(101, "replace", "full")
FIRST = generation(102, "change", "first")
SECOND = generation(103, "change", "second")
HISTORY = (SECOND, FIRST, FULL)


def check(mode: Mode, digest: str, before: Generation | None = SECOND, day: date | None = None,
          *, history: tuple[Generation, ...] = HISTORY, limits: Limits = LIMITS) -> None:  # fmt: skip
    check_order(mode, digest=digest, data_date=day, before=before, history=history, limits=limits)


@pytest.mark.parametrize("digest", ["second", "first"])
def test_a_change_file_is_applied_once(digest: str) -> None:
    with pytest.raises(InputError, match="already applied"):
        check(Mode.CHANGE, digest)


def test_an_unknown_file_may_be_applied() -> None:
    check(Mode.CHANGE, "third")
    check(Mode.REPLACE, "third")


def test_what_was_appended_may_be_removed_again() -> None:
    appended = generation(102, "append", "some")
    check(Mode.REMOVE, "some", before=appended, history=(appended, FULL))


def test_a_full_file_may_replace_what_was_changed_since() -> None:
    check(Mode.REPLACE, "full")


def test_the_full_file_in_force_is_not_imported_again() -> None:
    with pytest.raises(InputError, match="generation 1 was made from this very file"):
        check(Mode.REPLACE, "full", before=FULL, history=(FULL,))


def test_a_change_file_may_be_applied_again_once_a_full_file_has_replaced_it() -> None:
    newer = generation(104, "replace", "newer")
    check(Mode.CHANGE, "first", before=newer, history=(newer, *HISTORY))


def test_after_a_rollback_what_was_undone_may_be_applied_again_and_the_rest_not() -> None:
    back = generation(104, "rollback", "first", content=102)
    history = (back, *HISTORY)
    assert list(lineage(back, history)) == [FIRST, FULL]
    check(Mode.CHANGE, "second", before=back, history=history)
    with pytest.raises(InputError, match="already applied"):
        check(Mode.CHANGE, "first", before=back, history=history)


def test_generations_that_never_came_into_force_are_no_part_of_a_list() -> None:
    failed = replace(generation(104, "change", "third"), version=0, state="failed")
    check(Mode.CHANGE, "third", history=(failed, *HISTORY))


def test_older_data_are_refused_unless_that_is_wanted() -> None:
    before = generation(101, "replace", "full", date(2026, 11, 2))
    with pytest.raises(InputError, match=r"2026-11-01.*2026-11-02"):
        check(Mode.CHANGE, "new", before, date(2026, 11, 1), history=(before,))
    check(Mode.CHANGE, "new", before, date(2026, 11, 2), history=(before,))
    check(
        Mode.CHANGE,
        "new",
        before,
        date(2026, 11, 1),
        history=(before,),
        limits=Limits(10, allow_out_of_order=True),
    )


@pytest.mark.parametrize("mode", [Mode.CHANGE, Mode.APPEND, Mode.REMOVE])
def test_changes_of_no_known_day_are_refused_where_the_list_has_one(mode: Mode) -> None:
    before = generation(101, "replace", "full", date(2026, 11, 2))
    with pytest.raises(InputError, match=r"date: .*2026-11-02.*--date"):
        check(mode, "new", before, None, history=(before,))
    check(mode, "new", FULL, None, history=(FULL,))
    check(Mode.REPLACE, "new", before, None, history=(before,))


def test_a_forgotten_or_wrong_date_is_mended_by_the_same_full_file() -> None:
    dated = generation(102, "replace", "full", date(2026, 11, 2))
    check(Mode.REPLACE, "full", FULL, date(2026, 11, 2), history=(FULL,))
    check(Mode.REPLACE, "full", dated, date(2026, 11, 3), history=(dated,))
    for day in (None, date(2026, 11, 2)):
        with pytest.raises(InputError, match="already applied"):
            check(Mode.REPLACE, "full", dated, day, history=(dated,))
    late = Limits(10, allow_out_of_order=True)
    check(Mode.REPLACE, "full", dated, date(2026, 11, 1), history=(dated,), limits=late)
    check(Mode.REPLACE, "full", dated, None, history=(dated,), limits=late)


DAY = date(2026, 11, 2)
APPLIED = replace(generation(102, "change", "first", DAY), file="changes.txt")


def told(mode: Mode, file: str, day: date | None, before: Generation | None = APPLIED) -> tuple[str, ...]:
    return doubts(mode, file=file, data_date=day, before=before, history=(APPLIED, FULL))


@pytest.mark.parametrize("file", ["changes.zip", "changes.txt.gz", "changes.TXT.GZ", "Changes.zip"])
def test_changes_of_the_same_day_and_name_in_another_packing_are_told(file: str) -> None:
    (warning,) = told(Mode.CHANGE, file, DAY)
    assert warning.startswith("generation 2 was made from changes.txt")


def test_other_files_of_the_same_day_are_no_matter() -> None:
    assert told(Mode.CHANGE, "changes-212.txt", DAY) == ()
    assert told(Mode.APPEND, "changes.zip", DAY) == ()
    assert told(Mode.CHANGE, "changes.zip", date(2026, 11, 3)) == ()
    assert told(Mode.REPLACE, "changes.zip", DAY) == ()
    assert told(Mode.REPLACE, "changes.zip", None) == ()
    assert told(Mode.APPEND, "changes.zip", DAY, None) == ()


def test_changes_of_no_known_day_are_told_where_the_list_has_none_either() -> None:
    for before in (FULL, None):
        (warning,) = told(Mode.APPEND, "more.txt", None, before)
        assert "not known whether" in warning


@pytest.mark.parametrize(("rejected", "of"), [(2, 100), (21, 21), (10_001, 1_000_000)])
def test_a_file_of_which_too_much_is_rejected_is_refused_with_figures(rejected: int, of: int) -> None:
    with pytest.raises(InputError, match=f"{rejected:,} of {of:,} lines .*line 1: letters.*--rejects"):
        check_rejected(rejected=rejected, of=of, reasons=["line 1: letters"], limits=LIMITS)
    check_rejected(rejected=rejected, of=of, reasons=[], limits=Limits(10, rejected_percent=100))


@pytest.mark.parametrize(("rejected", "of"), [(1, 100), (20, 20), (0, 0), (10_000, 1_000_000)])
def test_a_few_rejected_lines_are_no_matter(rejected: int, of: int) -> None:
    check_rejected(rejected=rejected, of=of, reasons=["line 1: letters"], limits=LIMITS)


def test_a_file_of_other_areas_than_the_lists_is_refused_with_figures() -> None:
    with pytest.raises(InputError, match="all its 3 numbers are of areas"):
        check_areas(outside=3, of=3)
    check_areas(outside=2, of=3)
    check_areas(outside=0, of=0)


def test_data_of_the_future_are_refused() -> None:
    check_date(None, TODAY)
    check_date(date(2026, 11, 22), TODAY)
    with pytest.raises(InputError, match="future"):
        check_date(date(2026, 11, 23), TODAY)


@pytest.mark.parametrize("mode", [Mode.REMOVE, Mode.CHANGE])
def test_nothing_can_be_taken_from_a_list_that_was_never_imported(mode: Mode) -> None:
    with pytest.raises(InputError, match="nothing was imported"):
        check_mode(mode, None, has_action=True)


def test_a_change_needs_a_layout_that_tells_additions_from_removals() -> None:
    with pytest.raises(InputError, match="no column"):
        check_mode(Mode.CHANGE, FULL, has_action=False)
    check_mode(Mode.CHANGE, FULL, has_action=True)
    check_mode(Mode.APPEND, None, has_action=False)


def test_what_a_file_says_to_add_is_never_removed() -> None:
    with pytest.raises(InputError, match="says itself what is added"):
        check_mode(Mode.REMOVE, FULL, has_action=True)
    check_mode(Mode.REMOVE, FULL, has_action=False)


@pytest.mark.parametrize(
    ("mode", "given", "before", "found"),
    [
        (Mode.REPLACE, date(2026, 11, 2), date(2026, 11, 1), date(2026, 11, 2)),
        (Mode.REPLACE, None, date(2026, 11, 1), None),
        (Mode.CHANGE, None, date(2026, 11, 1), date(2026, 11, 1)),
        (Mode.CHANGE, date(2026, 10, 1), date(2026, 11, 1), date(2026, 11, 1)),
        (Mode.APPEND, date(2026, 11, 2), None, date(2026, 11, 2)),
    ],
)
def test_only_a_full_file_makes_a_list_older(
    mode: Mode, given: date | None, before: date | None, found: date | None
) -> None:
    assert new_date(mode, given, generation(101, "replace", "full", before)) == found
    assert new_date(mode, given, None) == given


@pytest.mark.parametrize(("before", "numbers"), [(100, 89), (10, 0), (1_000_000_000, 899_999_999)])
def test_a_list_that_shrinks_too_much_is_refused_with_figures(before: int, numbers: int) -> None:
    with pytest.raises(InputError, match=f"from {before:,} to {numbers:,}"):
        check_size(before=before, numbers=numbers, limits=Limits(10, allow_empty=True))
    check_size(before=before, numbers=numbers, limits=Limits(100, allow_empty=True))


@pytest.mark.parametrize(("before", "numbers"), [(100, 90), (100, 1000), (0, 1)])
def test_a_list_may_shrink_a_little_and_grow_as_it_likes(before: int, numbers: int) -> None:
    check_size(before=before, numbers=numbers, limits=LIMITS)


def test_an_empty_list_must_be_wanted() -> None:
    with pytest.raises(InputError, match="would be empty"):
        check_size(before=0, numbers=0, limits=LIMITS)
    check_size(before=0, numbers=0, limits=Limits(10, allow_empty=True))


@pytest.mark.parametrize("percent", [float("nan"), float("inf"), -1.0, 100.1])
def test_what_is_no_percentage_is_no_limit_that_lets_everything_through(percent: float) -> None:
    with pytest.raises(InputError, match="no percentage") as refused:
        Limits(shrink_percent=percent)
    assert refused.value.where == "--shrink"
    with pytest.raises(InputError, match="no percentage"):
        Limits(shrink_percent=10, rejected_percent=percent)
