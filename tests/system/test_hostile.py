"""What callers and dialplans bring may be hostile: a call ends, is on record, and disturbs no other."""

import pytest

from tests.rig.hostile import BROUGHT
from tests.rig.numbers import Behaviour, subscriber
from tests.rig.site import Site


def test_what_a_call_brings_is_text_and_nothing_else(site: Site) -> None:
    for name in BROUGHT:
        number = subscriber(Behaviour.BUSY)
        with site.dial(f"0{number}", agent=name) as phone:
            statuses = phone.wait_end(30).statuses
        row = site.record(number)
        if name == "project-not-utf8":
            # Asterisk cannot tell the project: an opt-out from it might be overlooked.
            assert (statuses, row["reason"]) == ([183, 403], "guard-unavailable"), name
        else:
            assert (statuses, row["verdict"], row["outcome"]) == ([486], "allow", "busy"), name
        texts = (row["agent"], row["project"] or "", row["purpose"], row["caller_number"])
        assert all(text.isprintable() and len(text) <= 128 for text in texts), name
    assert "Traceback" not in site.guard.process.tail(100_000)


@pytest.mark.parametrize("dialled", ["08%0d%0aAction:%20x", "0812%22%3e%3c", "9" * 200, "0812,bridge"])
def test_what_is_dialled_is_read_or_refused(site: Site, dialled: str) -> None:
    with site.dial(dialled, agent="bare-bridge") as phone:
        assert phone.wait_end(30).statuses[-1] in {403, 404, 484}
    site.assert_never_reached_a_carrier(dialled)
    assert "Traceback" not in site.guard.process.tail(100_000)
