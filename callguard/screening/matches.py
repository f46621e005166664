"""What spoke about a call, as it is kept in the record. Pure."""

from callguard.screening.model import Entry, Exemption, Match, Reason, RegistryHit


def of_entry(reason: Reason, entry: Entry, position: int) -> Match:
    return Match(reason, "entry", str(entry.id), entry.category, entry.project, entry.reason, position)


def of_exemption(reason: Reason, exemption: Exemption) -> Match:
    told = f"{exemption.evidence} ({exemption.reference})" if exemption.reference else exemption.evidence
    return Match(reason, "exemption", str(exemption.id), exemption.kind.value, exemption.project, told, 0)


def of_registry(reason: Reason, hit: RegistryHit) -> Match:
    told = f"{hit.jurisdiction}, {data_text(hit)}"
    return Match(reason, "registry", hit.list, hit.kind, None, told, hit.version)


def data_text(hit: RegistryHit) -> str:
    """The age of a registry list's data, in words."""
    return f"data of {hit.data_date.isoformat()}" if hit.data_date else "data of an unknown day"
