"""Large texts and payloads outside of Temporal's history, each under its SHA-256.

`store.py` is the interface and its errors. `gateway_blobs.py`, `directory_blobs.py` and
`object_blobs.py` (S3, GCS) implement it; `cached_blobs.py` keeps what was read last. `texts.py`
stores texts and reads them back; `open_blobs.py` opens the store that the settings name.

Used by the worker, its activities, the client and the data converter. It imports `contracts`, and
of `atxp` the HTTP client.
"""
