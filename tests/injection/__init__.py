"""Orders that arrive in what an agent reads, for a model that obeys all of them.

`cases/*.yaml` has the orders, by the place where they stand; `case.py` reads them; `attacker.py` is
the MCP servers, one of which belongs to the attacker; `house.py` plays each case twice, as it comes
and with the approvals switched off; `test_injection.py` compares.
"""
