"""Scrubbing: a dialer's lead file is checked whole, before it is loaded.

The file goes through in pieces of some megabytes: its rows and fields are found (rows), the numbers read
(reading), looked up in the lists (lists), decided by screening (verdicts), and each row is written to one of
two files as it stands, to the byte (outputs). run puts these together. All that happens to every row is
done by numpy on whole columns; what is rare goes one by one through the code that decides calls.
"""
