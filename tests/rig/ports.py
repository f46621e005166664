"""Free ports on loopback addresses, so that several rigs can run at once."""

import socket

LOCALHOST = "127.0.0.1"
AGENTS = "127.0.0.2"
"""Where agents' phones are: Asterisk takes a call from here for an agent's."""
CARRIER = "127.0.0.3"
CARRIER2 = "127.0.0.4"


def free_tcp_port(host: str = LOCALHOST) -> int:
    """A TCP port that was free a moment ago."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def free_udp_port(host: str = LOCALHOST) -> int:
    """A UDP port that was free a moment ago."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
