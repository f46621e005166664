"""A contact centre in small: an Asterisk, two carriers, a guard, and phones to call with."""

from collections.abc import Mapping
from dataclasses import dataclass

from tests.rig.asterisk import Asterisk
from tests.rig.guard import Guard, Row
from tests.rig.numbers import subscriber
from tests.rig.sipp import Phone, Sipp
from tests.rig.waiting import wait_for


@dataclass(frozen=True)
class Site:
    asterisk: Asterisk
    carrier: Sipp
    carrier2: Sipp
    guard: Guard

    def dial(
        self,
        number: str,
        *,
        agent: str = "agent1",
        scenario: str = "agent",
        keys: Mapping[str, str] | None = None,
    ) -> Phone:
        """An agent's phone that dials; to be used with `with`."""
        return Phone(self.asterisk.sip_port, number, agent=agent, scenario=scenario, keys=keys)

    def record(self, subscriber_digits: str, *, attempts: int = 1) -> Row:
        """The journal's newest record of a number, when it has as many as attempts were made, all of them
        with an outcome. Raises AssertionError when it has more, WaitedInVainError when it has less."""

        def probe() -> list[Row] | None:
            rows = [row for row in self.guard.log() if row["number"] == f"+62{subscriber_digits}"]
            assert len(rows) <= attempts, rows
            complete = len(rows) == attempts and all(row["outcome"] for row in rows)
            return rows if complete else None

        return wait_for(f"{attempts} record(s) of …{subscriber_digits} with an outcome", probe)[0]

    def assert_never_reached_a_carrier(self, subscriber_digits: str) -> None:
        """That a number was not sent to any carrier, proved by a call that comes after and was sent."""
        sentinel = subscriber()
        with self.dial(f"0{sentinel}") as phone:
            phone.wait_for("ACK")
            phone.hang_up()
            phone.wait_end()
        self.carrier.wait_call(sentinel)
        for carrier in (self.carrier, self.carrier2):
            assert not carrier.calls(subscriber_digits), carrier.report()
