"""What the adapter counts."""

from dataclasses import dataclass


@dataclass(slots=True)
class AriCounts:
    """What happened since the start, for the metrics."""

    events: int = 0
    unread_messages: int = 0
    """Malformed, of no use to us, or an answer that came too late."""
    failed_callbacks: int = 0
    connections: int = 0
    socket_requests: int = 0
    pool_requests: int = 0
    retries: int = 0
