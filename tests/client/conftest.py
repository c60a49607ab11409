"""The server and the worker of the command line's tests serve these as well."""

from tests.cli.conftest import client, starter, world

__all__ = ["client", "starter", "world"]
