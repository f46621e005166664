"""Which earlier attempts count for a rule. Pure."""

from collections.abc import Sequence
from datetime import datetime

from callguard.screening.model import Attempt, CallFacts
from callguard.screening.rules import AttemptsLine, Per, Rules


def counted(
    line: AttemptsLine, facts: CallFacts, rules: Rules, attempts: Sequence[Attempt]
) -> list[datetime]:
    """The instants of the earlier attempts that count for a line, oldest first. Their purposes, as said, are
    taken as they were screened: a word that nobody knows for the strictest.

    The period rolls: an attempt counts until it is just so old. One that another guard's clock puts after
    this call counts, too.
    """
    since = facts.at - line.period
    purpose = rules.purpose(facts.purpose)
    found: list[datetime] = []
    by_project, by_subject, by_purpose = (per in line.per for per in (Per.PROJECT, Per.SUBJECT, Per.PURPOSE))
    for attempt in attempts:
        if attempt.at <= since or (line.answered_only and attempt.answered is False):
            continue
        if by_project and attempt.project != facts.project:
            continue
        if by_subject and attempt.subject != facts.subject:
            continue
        screened = rules.purpose(attempt.purpose)
        if screened in line.purposes and (screened == purpose or not by_purpose):
            found.append(attempt.at)
    found.sort()
    return found
