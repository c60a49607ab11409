"""The local stack: Temporal, the gateway and a worker, supervised."""
