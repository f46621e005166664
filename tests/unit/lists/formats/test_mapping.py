"""A mapping is read as it is written, or refused by file and key; a layout survives being kept as JSON."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.errors import InputError
from callguard.lists.formats import mapping
from callguard.lists.formats.builtin import FORMATS
from callguard.lists.formats.layout import Action, Field, Kind, Layout
from callguard.lists.formats.mapping import load_layout
from tests.unit.lists.formats.reading import read_bytes

EXAMPLE = Path(__file__).parents[4] / "config/mapping-example.toml"


def load(folder: Path, text: str) -> Layout:
    path = folder / "own.toml"
    path.write_text(text, "utf-8")
    return load_layout(path)


def test_a_mapping_of_named_columns_and_actions(tmp_path: Path) -> None:
    text = """
        kind = "delimited"
        description = "changes of the registry"
        delimiter = "semicolon"
        header = true
        number = ["area", "phone"]
        region = "US"
        encoding = "latin-1"
        [action]
        column = "op"
        add = ["A", " Add"]
        remove = "D"
    """
    assert load(tmp_path, text) == Layout(
        "own",
        Kind.DELIMITED,
        "changes of the registry",
        "a mapping",
        number=("area", "phone"),
        delimiter=";",
        header=True,
        region="US",
        encoding="latin-1",
        action=Action("op", ("a", "add"), ("d",)),
    )


def test_a_mapping_of_characters(tmp_path: Path) -> None:
    text = 'kind = "fixed"\nwidth = 12\nnumber = [{start = 1, length = 5}, {start = 6, length = 7}]'
    layout = load(tmp_path, text)
    assert (layout.number, layout.width) == ((Field(1, 5), Field(6, 7)), 12)


def test_a_mapping_of_lines_needs_no_more_than_its_kind(tmp_path: Path) -> None:
    assert load(tmp_path, 'kind = "lines"\ninternational = true').international


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("", "kind"),
        ("kind = 'xml'", "kind"),
        ("kind = 5", "kind"),
        ("kind = 'delimited'", "number"),
        ("kind = 'lines'\nnumber = 2", "number"),
        ("kind = 'delimited'\nnumber = 0", "number"),
        ("kind = 'delimited'\nnumber = true", "number"),
        ("kind = 'delimited'\nnumber = 1001", "number"),
        ("kind = 'delimited'\nnumber = []", "number"),
        ("kind = 'delimited'\nnumber = ' '", "number"),
        ("kind = 'delimited'\nnumber = {start = 1, length = 2}", "number"),
        ("kind = 'delimited'\nnumber = 'phone'", "header"),
        ("kind = 'delimited'\nnumber = 1\nheader = 1", "header"),
        ("kind = 'delimited'\nnumber = 1\ndelimiter = 'ab'", "delimiter"),
        ("kind = 'delimited'\nnumber = 1\ndelimiter = '1'", "delimiter"),
        ("kind = 'delimited'\nnumber = 1\ndelimiter = '\"'", "delimiter"),
        ("kind = 'delimited'\nnumber = 1\nencoding = 'utf-7'", "encoding"),
        ("kind = 'delimited'\nnumber = 1\nregion = 'XX'", "region"),
        ("kind = 'delimited'\nnumber = 1\naction = 1", "action"),
        ("kind = 'delimited'\nnumber = 1\naction = {column = 2, add = 'A'}", "action"),
        ("kind = 'delimited'\nnumber = 1\naction = {column = 0, add = 'A', remove = 'D'}", "action.column"),
        ("kind = 'delimited'\nnumber = 1\naction = {column = 2, add = [], remove = 'D'}", "action.add"),
        ("kind = 'delimited'\nnumber = 1\naction = {column = 2, add = 1, remove = 'D'}", "action.add"),
        ("kind = 'delimited'\nnumber = 1\naction = {column = 2, add = 'A', remove = 'a'}", "action.remove"),
        ("kind = 'lines'\naction = {column = 2, add = 'A', remove = 'D'}", "action"),
        ("kind = 'fixed'\nnumber = 1", "number"),
        ("kind = 'fixed'\nnumber = {start = 0, length = 2}", "number"),
        ("kind = 'fixed'\nnumber = {start = 1}", "number"),
        ("kind = 'fixed'\nnumber = {start = 1, length = 2}\nwidth = -1", "width"),
        ("kind = 'lines'\nwidth = 12", "width"),
        ("kind = 'lines'\ncolour = 'red'", "'colour'"),
        ("kind = 'lines'\ndescription = \"a\\u001bb\"", "description"),
    ],
)
def test_a_wrong_mapping_is_refused_with_file_key_and_what_is_allowed(
    tmp_path: Path, text: str, key: str
) -> None:
    with pytest.raises(InputError) as refused:
        load(tmp_path, text)
    assert refused.value.where == f"{tmp_path / 'own.toml'}: {key}"
    assert refused.value.allowed


@pytest.mark.parametrize(
    ("content", "what"), [(b"kind = ", "not TOML"), (b"\xff", "not TOML"), (b"#" * 70_000, "too large")]
)
def test_what_is_no_mapping_is_refused(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / "own.toml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=what):
        load_layout(path)
    with pytest.raises(InputError, match="No such file"):
        load_layout(tmp_path / "gone.toml")


@pytest.mark.parametrize("layout", FORMATS.values(), ids=lambda layout: layout.name)
def test_every_built_in_layout_can_be_kept(layout: Layout) -> None:
    assert Layout.from_json(layout.to_json()) == layout


names = st.text(min_size=1, max_size=10)


@given(names, st.lists(names | st.integers(1, 1000), min_size=1, max_size=3), st.booleans(), names)
def test_any_layout_can_be_kept(name: str, number: list[str | int], exact: bool, word: str) -> None:
    layout = Layout(
        name,
        Kind.DELIMITED,
        number=tuple(number),
        header=True,
        exact=exact,
        action=Action(word, (word,), ("d", "x")),
    )
    assert Layout.from_json(layout.to_json()) == layout


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "null", '{"kind": "lines"}', '{"kind": "lines", "action": null}']
)
def test_what_is_no_kept_layout_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="not a layout"):
        Layout.from_json(text)


def test_the_example_reads_what_it_says_it_does(tmp_path: Path) -> None:
    content = b"op;area;phone\nA;201;5551234\nd;201;5550000\nx;201;5550001\n"
    found = read_bytes(tmp_path, content, load_layout(EXAMPLE))
    assert (found.added, found.removed) == ([12015551234], [12015550000])
    assert list(found.reasons) == [4]


def test_the_example_shows_every_key_and_what_is_turned_off_in_it_may_be_turned_on(tmp_path: Path) -> None:
    text = EXAMPLE.read_text()
    keys = set(re.findall(r"^#?(\w+) = ", text, re.MULTILINE))
    assert {*mapping._KEYS, "column", "add", "remove"} == keys | {"action"}
    for line in ("international", "region", "encoding", "exact", "alone", "description"):
        load(tmp_path, re.sub(rf"^#{line} = ", f"{line} = ", text, flags=re.MULTILINE))
    fixed = re.sub(r"^#(number|width) = ", r"\1 = ", text.partition("[action]")[0], flags=re.MULTILINE)
    fixed = fixed.replace('"delimited"', '"fixed"').replace("header = true", "")
    layout = load(tmp_path, fixed.replace('number = ["area", "phone"]', ""))
    assert (layout.number, layout.width) == ((Field(1, 5), Field(6, 7)), 12)
