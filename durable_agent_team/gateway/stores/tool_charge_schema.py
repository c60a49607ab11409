"""The table of tools' charges. Its triggers forbid to charge again, or to give back, what was
charged, so that no mistake in the code above can cause it (docs/adr/048)."""

STATEMENTS = (
    """
    CREATE TABLE tool_charges (
      account_id TEXT NOT NULL REFERENCES accounts,
      key TEXT NOT NULL,
      amount INTEGER NOT NULL CHECK (amount > 0),
      what TEXT NOT NULL,
      state TEXT NOT NULL CHECK (state IN ('reserved', 'settled', 'released')),
      reserved_at REAL NOT NULL,
      ended_at REAL,
      PRIMARY KEY (account_id, key)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX tool_charges_open ON tool_charges (account_id, key) WHERE state = 'reserved'",
    """
    CREATE TRIGGER tool_charges_stay_settled BEFORE UPDATE ON tool_charges
      WHEN old.state = 'settled' OR new.amount <> old.amount
      BEGIN SELECT RAISE(ABORT, 'a charge that is settled stays so, and keeps its amount'); END
    """,
    """
    CREATE TRIGGER tool_charges_no_delete BEFORE DELETE ON tool_charges
      BEGIN SELECT RAISE(ABORT, 'charges are not deleted'); END
    """,
)

REVISIONS = "ALTER TABLE tool_charges ADD COLUMN revision INTEGER NOT NULL DEFAULT 1"

OPEN = "FROM tool_charges WHERE account_id = :id AND state = 'reserved'"
SETTLE_OPEN = (
    f"""
    INSERT INTO ledger (account_id, created_at, idempotency_key, model, prompt_tokens,
      completion_tokens, amount, estimated, overrun, kind, what)
    SELECT account_id, :now, key, '', 0, 0, amount, 0, 0, 'tool', what {OPEN}
      ORDER BY reserved_at, key
    """,
    f"""
    UPDATE accounts SET reserved = reserved - (SELECT coalesce(sum(amount), 0) {OPEN}),
      spent = spent + (SELECT coalesce(sum(amount), 0) {OPEN}),
      charges = charges + (SELECT count(*) {OPEN})
    WHERE id = :id
    """,
    """
    UPDATE tool_charges SET state = 'settled', ended_at = :now
      WHERE account_id = :id AND state = 'reserved'
    """,
)
"""When an account is disabled, what is still reserved for tools is charged: they may have run, and
the ledger must not show less than what was spent."""
