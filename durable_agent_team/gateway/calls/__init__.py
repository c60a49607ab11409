"""One paid call, from the parsed request to the settled charge.

`call_service.py` reserves, calls the upstream and settles. `chat_request.py` computes the upper
bound of a call's cost, `answer.py`, `streamed_answer.py` and `charge.py` what it did cost.
`upstream_protocol.py` is what an upstream must implement.

Does not belong here: HTTP routes (`api`), connections (`upstreams`), SQL (`stores`). May import
`stores` and the gateway's shared modules. Start with `call_service.py`.
"""
