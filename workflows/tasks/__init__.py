"""A task: scheduled, paid for, checked."""
