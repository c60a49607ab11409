"""Tools of MCP servers, by the official `mcp` package, over standard input and output or HTTP.

`sessions` has one connection for each server, `connection` is one of them, with a task of its own.
`stdio_transport` and `bounded_http` are what is between the package and a server that may send
anything: nothing in here grows with what a server sends. `called_result`, `definitions` and
`demands` read what servers answer.

The package takes half a second and 50 MB to import. So what imports it is imported by `connection`
alone, and `sessions` imports that when a server is first used.
"""
