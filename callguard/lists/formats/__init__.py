"""Registries' files: how they are laid out (layout, builtin, mapping), and their numbers (reading).

`reading.open_numbers` gives the numbers of a file in parts. Below it, `source` gives the bytes of plain, gzip
and zip files, `cutting` cuts them where lines end, `rows` and `xml` find the numbers, and `written`, `lines`
and `clean` read them.
"""
