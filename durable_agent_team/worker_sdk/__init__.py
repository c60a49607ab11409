"""Patches of Temporal's SDK for the worker."""
