"""What can be called: models, the upstream that serves each of them, their prices and dialects.

Pure, but for reading files. Start with `price_file.py`. How one call is made, and what it is
charged, is in `calls`.
"""
