"""Requests and tokens a minute: rules, the arithmetic of their windows, and who counts across workers.

rules.py     whose requests a rule counts, and by what
windows.py   the sliding minute, pure
limiter.py   admits and corrects; the hot path decrements a share that was taken beforehand
words.py     refusals and headers, in each dialect
shared.py    where shares are taken from: Valkey, else the database, else a worker's own part
"""
