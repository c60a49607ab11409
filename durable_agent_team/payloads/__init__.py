"""How contracts become Temporal payloads.

`converter.py` has the data converter that every client and worker of the project uses, and
`blob_driver.py` puts large payloads into a store of `blobs`. Encryption of payloads belongs here,
too. It imports `blobs` and `contracts` at most, and it does not decide what is in a message: that
is what `contracts` does.
"""
