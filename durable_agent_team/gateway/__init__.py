"""The ATXP-compatible gateway: accounts, keys, ledger, chat completions, prices, upstreams."""
