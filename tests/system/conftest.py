"""A real Asterisk and real carriers, one of each a session, and guards as a test wants them.

Where tests run side by side, each worker has its own of all of these, on a loopback interface of its own.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import SERVICES
from tests.rig.asterisk import AGENTS, PURPOSEFUL_AGENTS, Asterisk, asterisk_root, running_asterisk
from tests.rig.guard import Guard
from tests.rig.hostile import HOSTILE_AGENTS, HOSTILE_DIALPLAN
from tests.rig.inbound import INBOUND_DIALPLAN, INBOUND_FILES
from tests.rig.loopback import own_loopback
from tests.rig.ports import CARRIER, CARRIER2
from tests.rig.sipp import Sipp, carrier
from tests.rig.site import Site
from tests.rig.waiting import WaitedInVainError

StartSite = Callable[..., Site]
"""Start a guard with these settings (see Guard) and give the site that it guards."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.system)


@pytest.fixture(scope="session", autouse=True)
def loopback() -> None:
    """All servers and phones of this process are on a loopback interface of its own."""
    asterisk_root()  # while there is a network: where the folder is missing, it is built from packages
    own_loopback()


@pytest.fixture(scope="session")
def asterisk(pytestconfig: pytest.Config) -> Iterator[Asterisk]:
    """An Asterisk for tests that leave it running."""
    with running_asterisk(
        agents=(*AGENTS, *HOSTILE_AGENTS, *PURPOSEFUL_AGENTS),
        files=INBOUND_FILES,
        dialplan=HOSTILE_DIALPLAN + INBOUND_DIALPLAN,
    ) as running:
        pytestconfig.stash[SERVICES]["asterisk"] = lambda: running.process
        yield running


@pytest.fixture(scope="session")
def carrier1(asterisk: Asterisk) -> Iterator[Sipp]:
    """The carrier of trunk `carrier`, which behaves by the number dialled."""
    with carrier(CARRIER, asterisk.carrier_port) as running:
        yield running


@pytest.fixture(scope="session")
def carrier2(asterisk: Asterisk) -> Iterator[Sipp]:
    """The carrier of trunk `carrier2`, which answers every call."""
    with carrier(CARRIER2, asterisk.carrier2_port, "carrier_answers") as running:
        yield running


@pytest.fixture
def start_site(
    asterisk: Asterisk, carrier1: Sipp, carrier2: Sipp, tmp_path: Path, pytestconfig: pytest.Config
) -> Iterator[StartSite]:
    """Start a guard and have a site; at the end, nothing may be left on its Asterisk."""
    guards: list[Guard] = []

    def start(**settings: Any) -> Site:
        guard = Guard(asterisk, tmp_path / f"guard{len(guards)}", **settings)
        guards.append(guard)
        pytestconfig.stash[SERVICES]["guard"] = lambda: guard.process
        guard.start()
        return Site(asterisk, carrier1, carrier2, guard)

    yield start
    try:
        asterisk.wait_empty()
    except WaitedInVainError:
        asterisk.clear()
        raise
    finally:
        for guard in guards:
            guard.close()


@pytest.fixture
def site(start_site: StartSite) -> Site:
    """A site whose guard has nothing set but where Asterisk is."""
    return start_site()
