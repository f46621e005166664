"""DNC lists: their truth in SQL (store), their cache in Redis (codec, cache, sync), and what asks them.

`service` answers a call's question, `writer` changes an internal list, `embedded` runs the private Redis.
"""
