"""What exists in Asterisk now: for taking calls up again after a connection was lost.

Source of the formats: rest-api/applications.json, channels.json and bridges.json of Asterisk.
"""

from dataclasses import dataclass

from callguard.asterisk.ari.client import AriClient
from callguard.asterisk.ari.events import ChannelInfo, read_channel
from callguard.errors import Rejected


@dataclass(frozen=True, slots=True)
class ApplicationInfo:
    """What the application is subscribed to."""

    channels: frozenset[str]
    bridges: frozenset[str]


@dataclass(frozen=True, slots=True)
class BridgeInfo:
    id: str
    channels: frozenset[str]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All channels and bridges of Asterisk by id, and what our application is subscribed to.

    Its parts are asked for one after the other, so a channel may be in one and gone, or new, in another.
    """

    application: ApplicationInfo
    channels: dict[str, ChannelInfo]
    bridges: dict[str, BridgeInfo]

    def in_stasis(self, app: str) -> tuple[ChannelInfo, ...]:
        """The channels that are in our application now."""
        return tuple(
            channel
            for channel in self.channels.values()
            if channel.app == "Stasis" and channel.app_args[0] == app
        )


async def take_snapshot(client: AriClient) -> Snapshot:
    """Ask Asterisk what there is.

    Raises AsteriskUnreachable, AsteriskForbidden, or Rejected when the answer cannot be read.
    """
    bridges = await client.request("GET", "bridges")
    channels = await client.request("GET", "channels")
    application = await client.request("GET", "applications", client.app)
    return Snapshot(
        application=_application(application),
        channels={channel.id: channel for channel in map(_channel, _list(channels))},
        bridges={bridge.id: bridge for bridge in map(_bridge, _list(bridges))},
    )


async def channel_info(client: AriClient, channel: str) -> ChannelInfo:
    """One channel. Raises NotFound when it is gone, and what take_snapshot raises."""
    return _channel(await client.request("GET", "channels", channel))


def _channel(value: object) -> ChannelInfo:
    found = read_channel(value)
    if found is None:
        raise _unreadable(value)
    return found


def _bridge(value: object) -> BridgeInfo:
    match value:
        case {"id": str(identity), "channels": list(channels)}:
            return BridgeInfo(identity, _ids(channels))
    raise _unreadable(value)


def _application(value: object) -> ApplicationInfo:
    match value:
        case {"channel_ids": list(channels), "bridge_ids": list(bridges)}:
            return ApplicationInfo(_ids(channels), _ids(bridges))
    raise _unreadable(value)


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise _unreadable(value)
    return value


def _ids(values: list[object]) -> frozenset[str]:
    return frozenset(value for value in values if isinstance(value, str))


def _unreadable(value: object) -> Rejected:
    return Rejected(f"an answer cannot be read: {value!r:.100}")
