"""The gateway's HTTP interface: routes, authentication, error responses, request logs and spans.

Handlers translate between HTTP and `calls` or `stores`; they decide nothing about money. May import
everything of the gateway except `upstreams` and `server`. Start with `account_routes.py` and
`chat_routes.py`; `gateway_context.py` is what all handlers share. `openapi_document.py`
describes all requests, from `request_shapes.py` and `response_shapes.py`.
"""
