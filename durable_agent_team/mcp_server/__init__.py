"""Runs as tools of the Model Context Protocol: what `starter.py mcp` serves.

`run_tools.py` has the tools, over the client's public handles; `server.py` offers them by the
official `mcp` package, on standard input and output or by HTTP.

Does not belong here: tools that agents of a team use. Start with `run_tools.py`.
"""
