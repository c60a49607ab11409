BEGIN TRANSACTION;
CREATE TABLE accounts (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  key_hash TEXT NOT NULL UNIQUE,
  status TEXT NOT NULL CHECK (status IN ('active', 'disabled')),
  budget INTEGER NOT NULL,
  spent INTEGER NOT NULL DEFAULT 0 CHECK (spent >= 0),
  reserved INTEGER NOT NULL DEFAULT 0 CHECK (reserved >= 0),
  charges INTEGER NOT NULL DEFAULT 0,
  created_at REAL NOT NULL,
  open_key TEXT UNIQUE,
  open_hash TEXT NOT NULL,
  CHECK (spent + reserved <= budget)
) STRICT, WITHOUT ROWID;
INSERT INTO "accounts" VALUES('a','a','hash-a','active',1000,5,0,1,1000.0,'open-a','body');
INSERT INTO "accounts" VALUES('b','b','hash-b','active',1000,0,0,0,1000.0,'open-b','body');
CREATE TABLE budget_changes (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  account_id TEXT NOT NULL REFERENCES accounts,
  created_at REAL NOT NULL,
  amount INTEGER NOT NULL,
  cause TEXT NOT NULL,
  transfer_id INTEGER
) STRICT;
INSERT INTO "budget_changes" VALUES(1,'a',1000.0,1000,'open',NULL);
INSERT INTO "budget_changes" VALUES(2,'b',1000.0,1000,'open',NULL);
CREATE TABLE calls (
  id TEXT PRIMARY KEY,
  account_id TEXT NOT NULL REFERENCES accounts,
  key TEXT,
  body_hash TEXT NOT NULL,
  model TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('pending', 'done')),
  bound INTEGER NOT NULL,
  owner TEXT NOT NULL,
  expires_at REAL NOT NULL,
  status INTEGER,
  response BLOB
) STRICT;
INSERT INTO "calls" VALUES('1','a','key','body','m','done',10,'owner',1060.0,200,X'616E73776572');
CREATE TABLE interruptions (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  account_id TEXT NOT NULL REFERENCES accounts,
  created_at REAL NOT NULL,
  idempotency_key TEXT,
  model TEXT NOT NULL,
  cause TEXT NOT NULL
) STRICT;
INSERT INTO "interruptions" VALUES(1,'a',1000.0,'other','m','upstream_broke_off');
CREATE TABLE ledger (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  account_id TEXT NOT NULL REFERENCES accounts,
  created_at REAL NOT NULL,
  idempotency_key TEXT,
  model TEXT NOT NULL,
  prompt_tokens INTEGER NOT NULL,
  completion_tokens INTEGER NOT NULL,
  amount INTEGER NOT NULL CHECK (amount >= 0),
  estimated INTEGER NOT NULL,
  overrun INTEGER NOT NULL CHECK (overrun >= 0)
) STRICT;
INSERT INTO "ledger" VALUES(1,'a',1000.0,'key','m',1,1,5,0,0);
CREATE TABLE refused_models (
  model TEXT NOT NULL,
  price_fingerprint TEXT NOT NULL,
  overrun INTEGER NOT NULL,
  PRIMARY KEY (model, price_fingerprint)
) STRICT;
CREATE TABLE transfers (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  key TEXT UNIQUE,
  from_id TEXT NOT NULL REFERENCES accounts,
  to_id TEXT NOT NULL REFERENCES accounts,
  amount INTEGER NOT NULL,
  created_at REAL NOT NULL
) STRICT;
CREATE UNIQUE INDEX calls_by_key ON calls (account_id, key) WHERE key IS NOT NULL;
CREATE INDEX calls_pending ON calls (expires_at) WHERE state = 'pending';
CREATE INDEX ledger_by_account ON ledger (account_id, id);
CREATE UNIQUE INDEX ledger_by_key ON ledger (account_id, idempotency_key)
  WHERE idempotency_key IS NOT NULL;
CREATE INDEX interruptions_by_account ON interruptions (account_id);
CREATE TRIGGER ledger_no_update BEFORE UPDATE ON ledger BEGIN SELECT RAISE(ABORT, 'ledger is append-only'); END;
CREATE TRIGGER ledger_no_delete BEFORE DELETE ON ledger BEGIN SELECT RAISE(ABORT, 'ledger is append-only'); END;
CREATE TRIGGER budget_changes_no_update BEFORE UPDATE ON budget_changes BEGIN SELECT RAISE(ABORT, 'budget_changes is append-only'); END;
CREATE TRIGGER budget_changes_no_delete BEFORE DELETE ON budget_changes BEGIN SELECT RAISE(ABORT, 'budget_changes is append-only'); END;
CREATE TRIGGER transfers_no_update BEFORE UPDATE ON transfers BEGIN SELECT RAISE(ABORT, 'transfers is append-only'); END;
CREATE TRIGGER transfers_no_delete BEFORE DELETE ON transfers BEGIN SELECT RAISE(ABORT, 'transfers is append-only'); END;
CREATE TRIGGER interruptions_no_update BEFORE UPDATE ON interruptions BEGIN SELECT RAISE(ABORT, 'interruptions is append-only'); END;
CREATE TRIGGER interruptions_no_delete BEFORE DELETE ON interruptions BEGIN SELECT RAISE(ABORT, 'interruptions is append-only'); END;
COMMIT;
PRAGMA user_version = 1;
