"""A built-in stand-in for LLM providers: real HTTP, each provider's wire format, its own books.

It runs as a process of its own (`python -m simulator`), imports nothing of gateway, filters or
billing, and is never told which department asks. What it was asked and what it answered goes into
its own ledger, by attempt id, so that the gateway's bookkeeping can be judged by somebody else's.
Its answers are templates, not a model's, and say so.
"""
