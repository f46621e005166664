"""What a call is for, and for whom, where its channel or command does not say. Pure."""

from callguard.config.sections import Settings


def call_project(settings: Settings, said: str | None) -> str | None:
    """The project of a call: as said, else defaults.project; None for the company's own calls.

    The letters' case matters: the name is the same as in the lists and in the settings' [projects].
    """
    return (settings.defaults.project if said is None else said) or None


def call_purpose(settings: Settings, said: str | None, project: str | None) -> str:
    """The purpose of a call: as said, in small letters, for purposes have no others; else the project's own,
    else defaults.purpose, which is marketing unless set.

    A word that is no purpose stays what it is, for the record: screening takes it for marketing.
    """
    if said and said.strip():
        return said.strip().lower()
    own = settings.projects.get(project) if project is not None else None
    return (own.purpose if own is not None else None) or settings.defaults.purpose
