"""Earlier attempts: calls that were placed to a number, counted for the rules that limit them.

The journal is the truth about them, and is read for each count. What it cannot know yet, calls that are
decided and not committed, is promised: in Redis, or in SQL while Redis is away (service.py).
"""
