"""Files of entries of the internal lists: what others export, and our own.

columns.py   which column of a file says what: by its header's words, its format, or by the user's word
records.py   a file as records of text with their line numbers, as a stream
instants.py  when an entry expires
checked.py   a record becomes entries to add, or is refused with its reason
export.py    entries as CSV and as JSON lines: our own format
"""
