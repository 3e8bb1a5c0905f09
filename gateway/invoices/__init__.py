"""How an invoice looks: PDF, XLSX, CSV, JSON and FOCUS, each made from the canonical record alone. Pure.

What an invoice is stands in billing/statements.py; nothing here computes an amount.
"""
