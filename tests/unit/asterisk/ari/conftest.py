"""A fake ARI for each test that asks for one."""

from collections.abc import AsyncIterator

import pytest

from tests.rig.fake_ari import FakeAri, fake_ari


@pytest.fixture
async def ari() -> AsyncIterator[FakeAri]:
    async with fake_ari() as fake:
        yield fake
