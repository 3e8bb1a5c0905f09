"""Notices of budgets: what is said, and how it reaches people. Off the request path, on its own thread."""
