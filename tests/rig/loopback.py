"""A loopback interface of the process's own, so that tests side by side cannot take each other's ports.

A port that was free a moment ago, or whose server a test has stopped for a while, may be anybody's the next
moment: another test's server, or the near end of any connection on the machine.
"""

import ctypes
import fcntl
import os
import socket
import struct

_CLONE_NEWNET = 0x40000000
"""unshare(2); Python has os.unshare from 3.12 on."""
_GET_FLAGS = 0x8913
_SET_FLAGS = 0x8914
_UP = 0x1
_REQUEST = struct.Struct("16sh14x")
"""struct ifreq: an interface's name and its flags (netdevice(7))."""


def own_loopback() -> None:
    """Go into a network namespace with nothing but a loopback interface, for good. Needs root.

    It holds for the calling thread, and for the threads and processes that it starts from now on.
    Raises OSError.
    """
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"a network namespace: {os.strerror(number)}")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        asked = fcntl.ioctl(control, _GET_FLAGS, _REQUEST.pack(b"lo", 0))
        name, flags = _REQUEST.unpack(asked)
        fcntl.ioctl(control, _SET_FLAGS, _REQUEST.pack(name, flags | _UP))
