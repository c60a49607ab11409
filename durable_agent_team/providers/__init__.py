"""What every client of a model provider needs, the gateway and the worker alike: what the
provider's errors and endings mean, in whichever spelling, which proxy leads to it, which
certificates are trusted, how an address is shown, which telemetry is wanted, and how many files a
process must be able to open. Pure, except for the client that obeys the proxy rules, and the looks
at those certificates, at installed packages and at that limit.

`error_body` finds the error in a response, `error_kind` says whether waiting helps, whether the
operator's money is gone, or neither, `context_exceeded` whether the prompt was too long, and
`waits` how long the provider asks to wait. `finish_reasons` says why a model stopped. `proxies`
reads `NO_PROXY` and its kin, for `proxied_client`; `certificates` looks at `SSL_CERT_FILE`,
`otel_variables` at the OTEL_* variables. `url_secrets` hides passwords and keys in addresses.
`process_limits` looks at what `ulimit` leaves a process.

Does not belong here: what follows from it (the gateway's `calls` and `upstreams`, `activities`). It
imports nothing of the project, since the gateway stands alone. Start with `error_kind.py`.
"""
