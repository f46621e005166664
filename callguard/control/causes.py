"""What a callee leg's end means: for the journal, for the caller's phone, and for the next trunk.

Sources: ITU-T Q.850 for the causes; the SIP codes are what Asterisk's PJSIP channel made of them when tried
(486 gives cause 17, 603 and 403 give 21, 503 gives 34, 404 gives 1, 480 gives 19).
"""

from callguard.control.model import HangupReason, Result

_NO_ROUTE = frozenset({2, 3, 27, 34, 38, 41, 42, 44, 47})
"""No route, out of order, congestion, temporary failure, no circuit: the trunk's fault, not the number's."""

_OF_CAUSE = {
    17: (Result.BUSY, HangupReason.BUSY),
    18: (Result.NO_ANSWER, HangupReason.NO_ANSWER),
    19: (Result.NO_ANSWER, HangupReason.NO_ANSWER),
    20: (Result.NO_ANSWER, HangupReason.NO_ANSWER),
    # Both 603 and 403 arrive as 21. Without the SIP status it is taken for 603: of the two, only 603 is
    # something that a person does.
    21: (Result.DECLINED, HangupReason.NORMAL),
    1: (Result.FAILED, HangupReason.UNALLOCATED),
    28: (Result.FAILED, HangupReason.UNALLOCATED),
}

_OF_SIP = {
    403: (Result.FAILED, HangupReason.REJECTED),
    404: (Result.FAILED, HangupReason.UNALLOCATED),
    408: (Result.NO_ANSWER, HangupReason.NO_ANSWER),
    480: (Result.NO_ANSWER, HangupReason.NO_ANSWER),
    486: (Result.BUSY, HangupReason.BUSY),
    600: (Result.BUSY, HangupReason.BUSY),
    603: (Result.DECLINED, HangupReason.NORMAL),
}

_FAILED = (Result.FAILED, HangupReason.CONGESTION)


def failure(cause: int | None, sip: int | None = None) -> tuple[Result, HangupReason]:
    """Read the end of a callee leg that was never answered: the result, and what the caller leg gets."""
    if sip in _OF_SIP:
        return _OF_SIP[sip]
    if cause in _OF_CAUSE:
        return _OF_CAUSE[cause]
    return _FAILED


_OF_DIAL_STATUS = {
    "ANSWER": Result.ANSWERED,
    "BUSY": Result.BUSY,
    "NOANSWER": Result.NO_ANSWER,
    "CANCEL": Result.CANCELLED,
    "CHANUNAVAIL": Result.FAILED,
    "CONGESTION": Result.FAILED,
}


def dial_result(status: str, cause: int | None = None) -> Result | None:
    """Read the DIALSTATUS of the dialplan's own Dial, with the caller leg's cause; None if it is unknown.

    Tried: a 404 gives CHANUNAVAIL with cause 1; a 603 gives CHANUNAVAIL, too, with the cause 21 that Dial
    leaves, or the 16 by which a dialplan has the caller's phone see 603.
    """
    if status == "CHANUNAVAIL" and cause in (16, 21):
        return Result.DECLINED
    return _OF_DIAL_STATUS.get(status)


def dial_failure(told: Result | None, cause: int | None) -> Result:
    """What became of a call that the dialplan's own Dial did not get answered.

    `told` is Dial's word as an event, which is `no-answer` for every cause that has no word of its own;
    `cause` is that of the caller leg, which a dialplan usually ends with the callee's. Of a call of which
    neither was seen, nobody knows.
    """
    if told is None and cause is None:
        return Result.UNKNOWN
    if told in (None, Result.NO_ANSWER) and cause in _OF_CAUSE:
        return _OF_CAUSE[cause][0]
    return told or failure(cause)[0]


def is_trunk_failure(cause: int | None) -> bool:
    """Tell whether another trunk may do better. An unknown cause is taken for the trunk's."""
    return cause is None or cause in _NO_ROUTE
