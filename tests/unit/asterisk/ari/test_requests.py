"""Commands as ARI requests."""

from urllib.parse import parse_qs, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.asterisk.ari.requests import Request, requests
from callguard.control.model import (
    Announce,
    CreateBridge,
    CreateCallee,
    DeleteBridge,
    Dial,
    HangUp,
    HangupReason,
    Join,
    Release,
    SetVariables,
    TelephonyCommand,
    Watch,
)
from callguard.errors import Rejected


def shown(command: TelephonyCommand) -> list[str]:
    return [f"{r.method} {r.uri}" for r in requests(command, "callguard")]


@pytest.mark.parametrize(
    ("command", "wanted"),
    [
        (CreateBridge("b"), ["POST bridges?bridgeId=b&type=mixing"]),
        (
            CreateCallee("c", "a", "PJSIP/+62@t"),
            [
                "POST channels/create?app=callguard&appArgs=callee%2Ca&channelId=c&originator=a"
                "&endpoint=PJSIP%2F%2B62%40t"
            ],
        ),
        (Join("b", "a", "c", None), ["POST bridges/b/addChannel?channel=a%2Cc"]),
        (
            Join("b", "a", "c", "+6221", caller_is_in=True),
            [
                "POST channels/a/variable?variable=CALLERID%28num%29&value=%2B6221",
                "POST bridges/b/addChannel?channel=c",
            ],
        ),
        (Dial("c", "a", 45), ["POST channels/c/dial?caller=a&timeout=45"]),
        (Watch("a"), ["POST applications/callguard/subscription?eventSource=channel%3Aa"]),
        (Release("a"), ["POST channels/a/continue"]),
        (Announce("a", "p", ("s:x", "s:y"), False), ["POST channels/a/play/p?media=s%3Ax%2Cs%3Ay"]),
        (Announce("a", "p", ("m",), True), ["POST channels/a/answer", "POST channels/a/play/p?media=m"]),
        (HangUp("a", HangupReason.REJECTED), ["DELETE channels/a?reason=rejected"]),
        (DeleteBridge("b"), ["DELETE bridges/b"]),
    ],
)  # fmt: skip
def test_each_command_is_the_request_that_ari_documents(command: TelephonyCommand, wanted: list[str]) -> None:
    assert shown(command) == wanted


def test_variables_are_set_in_one_request() -> None:
    [request] = requests(SetVariables("a", {"X": "1", "Y": "", "Z": "${EXTEN} b"}), "callguard")
    assert request.query == {"variable": "ARRAY(X,Y,Z)", "value": "1,,${EXTEN} b"}


VALUES = st.text(st.sampled_from('ab,"\\()[]${}é\n'), max_size=6)


@given(st.dictionaries(st.sampled_from(["A", "B", "C", "CDR(userfield)"]), VALUES, min_size=1))
def test_no_value_changes_or_adds_another_variable(variables: dict[str, str]) -> None:
    try:
        found = requests(SetVariables("a", variables), "callguard")
    except Rejected:
        assert not all(value.isprintable() for value in variables.values())
        return
    read: dict[str, str] = {}
    for request in found:
        name, value = request.query["variable"], request.query["value"]
        if name.startswith("ARRAY("):
            assert not set(value) & set('"\\()[]')
            read |= dict(zip(name[6:-1].split(","), value.split(","), strict=True))
        else:
            read[name] = value
    assert read == variables


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    st.text(st.characters(exclude_categories=["Cs"])),
)
def test_no_id_and_no_value_leaves_its_place_in_the_uri(name: str, value: str) -> None:
    uri = Request("POST", ("channels", name, "variable"), {"value": value}).uri
    assert uri.isascii()
    path, _, query = uri.partition("?")
    assert [unquote(part) for part in path.split("/")] == ["channels", name, "variable"]
    assert parse_qs(query, keep_blank_values=True) == {"value": [value]}
