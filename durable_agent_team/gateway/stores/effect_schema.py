"""The tables of effects. Their triggers forbid to do again what was done, so that no mistake in the
code above can cause it."""

STATEMENTS = (
    """
    CREATE TABLE effects (
      id INTEGER PRIMARY KEY AUTOINCREMENT,
      account_id TEXT NOT NULL REFERENCES accounts,
      scope TEXT NOT NULL,
      effect TEXT NOT NULL,
      tool TEXT NOT NULL,
      idempotent INTEGER NOT NULL,
      state TEXT NOT NULL
        CHECK (state IN ('begun', 'done', 'failed', 'unknown', 'retry', 'skipped')),
      attempt INTEGER NOT NULL, -- that began it last
      begin_key TEXT,
      outcome BLOB, -- JSON: the result, or the error
      decision TEXT CHECK (decision IN ('retry', 'skip', 'result')),
      began_at REAL NOT NULL,
      ended_at REAL
    ) STRICT
    """,
    "CREATE UNIQUE INDEX effects_by_name ON effects (account_id, scope, effect)",
    "CREATE INDEX effects_by_scope ON effects (account_id, scope, id)",
    "CREATE INDEX effects_open ON effects (account_id, scope, id)"
    " WHERE state IN ('begun', 'unknown')",
    """
    CREATE TRIGGER effects_stay_ended BEFORE UPDATE ON effects
      WHEN old.state IN ('done', 'skipped') AND new.state <> old.state
      BEGIN SELECT RAISE(ABORT, 'an effect that is done or skipped stays so'); END
    """,
    """
    CREATE TRIGGER effects_begin_once BEFORE UPDATE ON effects
      WHEN new.attempt <> old.attempt AND old.state <> 'retry' AND NOT new.idempotent
      BEGIN SELECT RAISE(ABORT, 'an effect is begun once, unless a person has it begun again'); END
    """,
    """
    CREATE TRIGGER effects_no_delete BEFORE DELETE ON effects
      BEGIN SELECT RAISE(ABORT, 'effects are not deleted'); END
    """,
    """
    CREATE TABLE effect_usage (
      account_id TEXT PRIMARY KEY REFERENCES accounts,
      effects INTEGER NOT NULL,
      bytes INTEGER NOT NULL CHECK (bytes >= 0) -- of all outcomes
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TRIGGER effect_added AFTER INSERT ON effects
      BEGIN
        INSERT INTO effect_usage VALUES (new.account_id, 1, coalesce(length(new.outcome), 0))
          ON CONFLICT DO UPDATE SET effects = effects + 1, bytes = bytes + excluded.bytes;
      END
    """,
    """
    CREATE TRIGGER effect_ended AFTER UPDATE OF outcome ON effects
      BEGIN
        UPDATE effect_usage SET bytes = bytes + coalesce(length(new.outcome), 0)
          - coalesce(length(old.outcome), 0) WHERE account_id = new.account_id;
      END
    """,
)
DROP_OUTCOMES = "UPDATE effects SET outcome = NULL WHERE account_id = ? AND outcome IS NOT NULL"
"""When an account is disabled, results and errors are deleted like the stored answers of its calls.
The states stay: no effect happens again."""
