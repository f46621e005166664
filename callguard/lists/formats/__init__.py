"""Registries' files: how they are laid out (layout, builtin, mapping), and their numbers (reading).

`reading.open_numbers` gives the numbers of a file in chunks. Below it, `source` gives the bytes of plain, gzip
and zip files, `cutting` cuts them at line ends, and `rows`, `xml`, `lines` and `clean` find the numbers.
"""
