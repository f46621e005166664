"""callguard: the Do-Not-Call guard for Asterisk contact centres."""

__version__ = "0.1.0"
