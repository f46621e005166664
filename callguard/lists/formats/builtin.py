"""The layouts that are known for certain, by the name that `callguard list create --format` takes.

The layouts of other registries are not published, or differ by subscription: for them a mapping is written.
"""

from collections.abc import Mapping
from types import MappingProxyType

from callguard.lists.formats.layout import Field, Kind, Layout

_ALL = (
    Layout(
        "us-text",
        Kind.DELIMITED,
        "US national registry, full list as text: 201,5551234 or 2015551234 a line",
        "FTC, Do Not Call Registry for telemarketers (2003); dontphoneme.com, 'Downloading the DNC list'",
        number=(1, 2),
        alone=True,
        exact=True,
        region="US",
    ),
    Layout(
        "us-xml",
        Kind.XML,
        "US national registry, full list as XML; numbers of fewer than 7 digits lack their zeros",
        "as published parsers of the registry's files read it",
        region="US",
    ),
    Layout(
        "canada-csv",
        Kind.DELIMITED,
        "Canada, full list as CSV: 416,1234567 a line; a ZIP has a file for each area code, or one for all",
        "CRTC, National DNCL file formats",
        number=(1, 2),
        exact=True,
        region="CA",
    ),
    Layout(
        "canada-xml",
        Kind.XML,
        "Canada, full list as XML; also the published form that is not well-formed",
        "CRTC, National DNCL file formats",
        region="CA",
    ),
    Layout(
        "tps-fixed",
        Kind.FIXED,
        "UK TPS and CTPS, full list: 12 characters, as dialling code (5) and remainder (7), or as one number",
        "Telephone Preference Service, technical description",
        number=(Field(1, 12),),
        width=12,
        region="GB",
    ),
    Layout(
        "vicidial",
        Kind.LINES,
        "VICIdial's DNC list: one number a line; 201XXXXXXX is rejected: patterns are for the internal list",
        "VICIdial, INTERNATIONAL_DNC_SCRUB and the administrator's manual",
    ),
    Layout("lines", Kind.LINES, "one number a line, as written in the list's country", "callguard"),
    Layout(
        "e164-lines",
        Kind.LINES,
        "one number a line with its country code, with or without a plus sign",
        "ITU-T E.164",
        international=True,
    ),
    Layout(
        "csv",
        Kind.DELIMITED,
        "CSV without a header: the number, as written in the list's country, is the first column",
        "RFC 4180",
    ),
)

FORMATS: Mapping[str, Layout] = MappingProxyType({layout.name: layout for layout in _ALL})
"""The built-in layouts by name."""
