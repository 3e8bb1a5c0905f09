"""The demonstration: 행정국 with 365 people, 29 models, real prompts, and the proof that the books agree.

`run_demo` sets up `.demo/`, starts the servers, sends the prompts and checks the gateway's ledger
against the providers' own. Nothing here is used by the gateway in production.
"""
