"""What is no conversation: texts embedded, pictures drawn, speech spoken and written down.

Each module is a surface of its own that also names the provider's work, since these answers come in
one piece and are not translated between dialects.
"""
