"""How contracts become Temporal payloads.

`converter.py` has the data converter that every client and worker of the project uses. Encryption
and external storage of payloads belong here, too. It imports `contracts` at most, and it does not
decide what is in a message: that is what `contracts` does.
"""
