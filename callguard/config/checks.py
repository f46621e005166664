"""What a setting's value must look like, beyond its type.

Each check takes a value, gives it back, and raises Wrong. Nothing here reads a file or asks a service.
"""

import difflib
import re
from collections.abc import Collection
from datetime import datetime
from typing import TypeVar
from urllib.parse import SplitResult, parse_qs, urlsplit

import phonenumbers

from callguard.screening.model import ALLOWING, Category, Reason

LONGEST_TEXT = 4096
"""Characters; a longer text in a setting is a mistake."""


MOST_TRUNKS = 20
MOST_RULE_FILES = 100
LONGEST_PROJECT = 100
"""Characters of a project's name."""

T = TypeVar("T")


def whole_number(given: object) -> object:
    """A number that an environment variable gives as text; anything else as it is."""
    return int(given) if isinstance(given, str) and re.fullmatch("[0-9]{1,9}", given) else given


class Wrong(ValueError):
    """A value that cannot be used. `key` is the path below what was checked, where that was a section."""

    def __init__(self, what: str, allowed: str = "", key: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.allowed = allowed
        self.key = key


def printable(text: str) -> str:
    """No setting needs a control character, and one in the wrong place forges a header or a log line."""
    if len(text) > LONGEST_TEXT:
        raise Wrong(f"has {len(text)} characters", f"up to {LONGEST_TEXT}")
    if not text.isprintable():
        raise Wrong("has a control character or a line break", "printable characters")
    return text


def http_url(text: str) -> str:
    allowed = "a URL such as https://pbx.example:8089/ari, without user, password, ? or #"
    parts = _split(text, ("http", "https"), allowed)
    if not parts.hostname or parts.username is not None or parts.query or parts.fragment:
        raise Wrong("is not a URL that can be used here", allowed)
    return text


def http_url_or_empty(text: str) -> str:
    return http_url(text) if text else text


def instant_or_empty(text: str) -> str:
    """ISO 8601 with a zone, in a year that is no slip of the hand."""
    if not text:
        return text
    allowed = "empty, or a time with its zone such as 2026-11-23T19:59:00+07:00"
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise Wrong("is not a time", allowed) from error
    if instant.tzinfo is None:
        raise Wrong("has no zone", allowed)
    if not 2000 <= instant.year <= 2100:
        raise Wrong(f"is in the year {instant.year}", f"{allowed}, from 2000 to 2100")
    return text


def refusing_reasons(by_reason: dict[str, T]) -> dict[str, T]:
    known = sorted(reason.value for reason in Reason if reason not in ALLOWING)
    for name in by_reason:
        if name not in known:
            nearest = difflib.get_close_matches(name[:100], known, n=1)
            meant = f"; did you mean {nearest[0]}?" if nearest else ""
            raise Wrong(f"{printable(name)[:60]} is no reason for a refusal{meant}", ", ".join(known))
    return by_reason


def sql_url(text: str) -> str:
    if not text:
        return text
    allowed = "empty, or sqlite:////PATH/callguard.db, postgresql://USER@HOST/DATABASE"
    parts = _split(text, ("sqlite", "postgresql", "postgresql+psycopg"), allowed)
    if parts.scheme == "sqlite":
        if parts.netloc or not parts.path.startswith("//"):
            raise Wrong("does not name a file by its whole path", allowed)
    elif len(parts.path) < 2:
        raise Wrong("names no database", allowed)
    if "password" in parse_qs(parts.query, keep_blank_values=True):
        raise Wrong("has a password in it", "the password in password_file or password")
    return text


def _split(text: str, schemes: Collection[str], allowed: str) -> SplitResult:
    """The parts of a URL. A password in it is refused: a URL is shown in messages, a secret never is."""
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - the port is only read, and found wrong, here
    except ValueError as error:
        raise Wrong("is not a URL", allowed) from error
    if parts.scheme not in schemes:
        raise Wrong("does not begin with " + " or ".join(f"{scheme}:" for scheme in schemes), allowed)
    if parts.password is not None:
        raise Wrong("has a password in it", "the password in password_file or password")
    if " " in text:
        raise Wrong("has a space in it", allowed)
    return parts


def endpoint(text: str) -> str:
    """What Asterisk dials. `&` would dial a second endpoint, `,` would begin Dial's next argument."""
    allowed = "such as PJSIP/{number}@carrier: {number} once, else letters, digits and . _ : @ / + = ; [ ] -"
    if text.count("{number}") != 1:
        raise Wrong("must have {number} in it, once", allowed)
    if not re.fullmatch(r"[A-Za-z0-9]+/[A-Za-z0-9._:@/+=;\[\]-]+", text.replace("{number}", "0")):
        raise Wrong("is not an endpoint", allowed)
    return text


def region(text: str) -> str:
    if text not in phonenumbers.SUPPORTED_REGIONS:
        raise Wrong(
            "is not a region with a numbering plan", "two capital letters (ISO 3166), such as ID or US"
        )
    return text


def word(text: str) -> str:
    """A name that is safe in a URL, a dialplan's argument and a file's name."""
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", text):
        raise Wrong("is not a name", "1 to 64 letters, digits, . _ -")
    return text


def purpose(text: str) -> str:
    """A purpose of the user's own. A call's purpose is folded to lower case, so none other would be found."""
    if not re.fullmatch(r"[a-z0-9._-]{1,64}", text):
        raise Wrong("is no name of a purpose", "1 to 64 small letters, digits, . _ -")
    return text


def category(text: str) -> str:
    """A category of entries, as lists.model.NewEntry takes it: none other would ever be found."""
    if text != "*" and not re.fullmatch(r"(?=.{1,40}$)[a-z][a-z0-9]*(-[a-z0-9]+)*", text):
        own = "a word of your own (a-z, 0-9 and -, up to 40), or * for the rest"
        raise Wrong("is no category", f"{', '.join(Category)}, {own}")
    return text


def projects(given: dict[str, T]) -> dict[str, T]:
    for name in given:
        if not 1 <= len(name) <= LONGEST_PROJECT or name != name.strip():
            raise Wrong(f"has a project of {len(name)} characters", f"names of 1 to {LONGEST_PROJECT}")
    return given


def rule_files(given: tuple[T, ...]) -> tuple[T, ...]:
    if len(given) > MOST_RULE_FILES:
        raise Wrong(f"cannot be a list of {len(given)}", f"up to {MOST_RULE_FILES} files")
    return given


def user(text: str) -> str:
    if ":" in text:
        raise Wrong("has a colon in it", "a user name without one: HTTP cannot carry it")
    return text


def area_code(text: str) -> str:
    if not re.fullmatch(r"[0-9]{0,6}", text):
        raise Wrong("is not an area code", "up to 6 digits, such as 21, or empty")
    return text


def digit_list(text: str) -> str:
    if not re.fullmatch(r"([0-9*#]{1,8}(\s*,\s*[0-9*#]{1,8})*)?", text):
        raise Wrong("is not digits", "digits, comma-separated if several, or empty")
    return text


def prefix(text: str) -> str:
    if not re.fullmatch(r"[0-9]{1,8}", text):
        raise Wrong("is not a prefix", "1 to 8 digits, such as 00 or 001")
    return text


def emergency(text: str) -> str:
    if not re.fullmatch(r"[0-9]{2,15}", text):
        raise Wrong("is not a number", "2 to 15 digits")
    return text


def extension(text: str) -> str:
    longest = 20 if set(text) & set("*#") else 8  # one of eleven X would let every number through unscreened
    if not re.fullmatch(rf"[0-9X*#]{{1,{longest}}}", text):
        raise Wrong("is not an extension", "up to 8 digits, or 20 with * or #; X for any digit, such as 1XX")
    return text


def caller_id(text: str) -> str:
    if not re.fullmatch(r"\+?[0-9]{2,20}", text):
        raise Wrong("is not a number", "2 to 20 digits, with + before them or not")
    return text


def trunks(given: tuple[T, ...]) -> tuple[T, ...]:
    # Not pydantic's own length check: that one counts only the trunks without an error.
    if not 1 <= len(given) <= MOST_TRUNKS:
        raise Wrong(f"cannot be a list of {len(given)}", f"1 to {MOST_TRUNKS} tables")
    return given
