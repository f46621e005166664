"""XML is read also where it is not well-formed; what is not understood is rejected, not lost."""

from datetime import date
from pathlib import Path

import pytest

from callguard.errors import InputError
from callguard.lists.formats import source
from tests.unit.lists.formats.reading import read_bytes

HEAD = b"<?xml version='1.0' encoding='UTF-8'?>\n"


@pytest.mark.parametrize(
    "content",
    [
        b"<list type='full' level='all' val=''><ac val='416'><ph val='1234567'/><ph val='42'/></ac></list>",
        b"<list type='full' level='all' val=''/>\n<ac val='416'/>\n<ph val='1234567'/><ph val='42'/>",
        b'<LIST type="Full">\n<AC val="416">\n <PH val = "1234567" />\n<ph val="0000042"></ph>\n</AC></LIST>',
        b"<list val='416'><ph val='1234567'/><ph val='42'/></list>",
        b"<list val='416'><!-- <ph val='1'/> --><ph id='1' val='1234567'/><ph val='42'/></list>",
        b"<list val=''><ph val='4161234567'/><ph val='4160000042'/></list>",
    ],
)
def test_every_published_form_gives_its_numbers(tmp_path: Path, content: bytes) -> None:
    found = read_bytes(tmp_path, HEAD + content, "canada-xml", "CA")
    assert (found.added, found.rejected) == ([14161234567, 14160000042], [])


def test_numbers_lacking_their_zeros_get_them_back(tmp_path: Path) -> None:
    content = (
        b"<list><ac val='201'>" + b"".join(b"<ph val='%d'/>" % 10**n for n in range(7)) + b"</ac></list>"
    )
    assert read_bytes(tmp_path, content, "us-xml").added == [12_010_000_000 + 10**n for n in range(7)]


@pytest.mark.parametrize(
    ("tag", "why"),
    [
        (b"<ph>1234567</ph>", "not a number"),
        (b"<ph val='12345x7'/>", "not a number"),
        (b"<ph val='12345678'/>", "not a number as dialled in the region US"),
        (b"<ac val='20'><ph val='1234567'/>", "not an area code"),
        (b"</ac><ph val='1234567'/>", "a number without an area code"),
        (b"<num val='1234567'/>", "not a list, ac or ph"),
        (b"1234567", "not a list, ac or ph"),
        (b"&#50;", "not a list, ac or ph"),
        (b"<ph val='1234567", "not a list, ac or ph"),
    ],
)
def test_what_is_not_understood_is_rejected_with_its_line(tmp_path: Path, tag: bytes, why: str) -> None:
    content = b"<list>\n<ac val='201'>\n<ph val='1'/>\n" + tag + b"\n</list>"
    found = read_bytes(tmp_path, content, "us-xml")
    assert found.added == [12010000001]
    assert next(one.why for one in found.rejected if one.line == 4) == why


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"<!DOCTYPE list [<!ENTITY a 'ha'><!ENTITY b '&a;&a;'>]><list>&b;</list>", "a DOCTYPE"),
        (b"<!doctype list SYSTEM 'file:///etc/passwd'><list/>", "a DOCTYPE"),
        (b"<list type='changes'><ac val='201'><ph val='1'/></ac></list>", "a list of type 'changes'"),
        (b"<list><!-- <ph val='1'/>", "a comment that has no end"),
        (b"<list><ac val='201'><ph val='1'/></ac>", "a list that has no end: the file was cut off"),
        (b"<list><ac val='201'><ph val='1'/><ph va", "a list that has no end"),
        (b"<list/><ac val='201'><ph val='1'/>", "a list that has no end"),
        (b"<list/><ac val='201'/><ph val='1'/><ph val='2", "a tag that has no end"),
        (b"<ac val='201'><ph val='1'/></ac>", "there is no list"),
        (b"<list><!-- " + b"x" * 70_000, "tag that has no end"),
        (b"<list><ph val='" + b"x" * 70_000, "tag that has no end"),
    ],
)
def test_what_may_hide_numbers_or_harm_is_refused(tmp_path: Path, content: bytes, what: str) -> None:
    with pytest.raises(InputError, match=what) as refused:
        read_bytes(tmp_path, content, "us-xml")
    assert str(refused.value.where).startswith(f"{tmp_path / 'list.txt'}:")


def test_area_and_lines_are_kept_from_part_to_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "PIECE", 100)
    content = b"<list>\n<ac val='201'>\n" + b"".join(b"<ph val='%d'/>\n" % n for n in range(1, 2000))
    content += b"<!-- " + b"<ph val='7'/>\n" * 20 + b"-->\n<x/>\n</ac></list>"
    found = read_bytes(tmp_path, content, "us-xml")
    assert found.added == [12_010_000_000 + n for n in range(1, 2000)]
    assert found.reasons == {2 + 1999 + 21 + 1: "not a list, ac or ph"}


def test_the_date_is_taken_from_the_list_where_the_name_has_none(tmp_path: Path) -> None:
    content = b"<list date='2026-11-01'><ac val='201'><ph val='1'/></ac></list>"
    assert read_bytes(tmp_path, content, "us-xml").data_date == date(2026, 11, 1)
