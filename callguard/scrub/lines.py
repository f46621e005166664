"""The lines of the rows that have several, each as a row of its own. Pure.

A stray quotation mark may hold the rows of several leads together, and some dialers take every line for a row
whatever its marks say. Both would call the numbers of such lines, which are in no column of the row.
"""

import re
from collections.abc import Iterator

import numpy as np

from callguard.scrub.rows import Positions, Rows, split


def lines_alone(rows: Rows, delimiter: str) -> Iterator[tuple[Rows, Positions]]:
    """The lines of every row of several lines, and the index of each one's row; nothing if there is none.

    They come in the two ways in which a line alone can be read: with every delimiter between two fields, and
    without those that are within a field with marks around it. The marks themselves are blanks.
    """
    if not len(rows.inner):
        return
    of_inner = np.searchsorted(rows.starts, rows.inner, side="right") - 1
    several, inner = np.unique(of_inner, return_counts=True)
    of_line = np.repeat(several, inner + 1)
    bounds = zip(rows.starts[several].tolist(), rows.ends[several].tolist(), strict=True)
    text = b"".join([rows.data[start:end].tobytes() + b"\n" for start, end in bounds])
    mark = delimiter.encode()
    between = b"\r\n" + re.escape(mark)
    quoted = re.compile(rb'(?<![^%b])"[^"\r\n]*+"(?![^%b])' % (between, between))
    fewer = quoted.sub(lambda field: field[0].replace(mark, b" "), text)
    for one in (text, fewer) if fewer != text else (text,):
        blanked = one.replace(b'="', b"  ").replace(b'"', b" ")
        yield split(np.frombuffer(blanked, np.uint8), mark[0], at_end=True), of_line
