"""The paid call."""
