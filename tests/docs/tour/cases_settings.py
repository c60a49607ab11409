"""Settings of the starter, the worker, the gateway and the local stack; and what is installed."""

import sqlite3
from contextlib import closing

from tests.docs.tour.case import Case, Section

KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

CLIENT = Section(
    "Settings of the starter",
    "All missing or wrong settings are reported at once; the value of a secret never is.",
    [
        Case("An invalid address", "starter.py list", ["TEMPORAL_ADDRESS = localhost",
             "is not HOST:PORT", "in .env or the environment"],
             env={"TEMPORAL_ADDRESS": "localhost"}),
        Case("An invalid URL", "starter.py list", ["ATXP_LLM_URL = llm.atxp.ai",
             "is not an http:// or https:// URL"], env={"ATXP_LLM_URL": "llm.atxp.ai"}),
        Case("A missing file", "starter.py list",
             ["TEMPORAL_TLS_CA_FILE = ca.pem: there is no such file", "CA certificate, PEM"],
             env={"TEMPORAL_TLS_CA_FILE": "ca.pem"}),
        Case("A certificate without its key",
             "starter.py list", ["TEMPORAL_TLS_KEY_FILE", "TEMPORAL_TLS_CERT_FILE "
             "belong together: set both or none"], files={"cert.pem": "x"},
             env={"TEMPORAL_TLS_CERT_FILE": "cert.pem"}),
        Case("A key that is not valid in a header",
             "starter.py list", ["TEMPORAL_API_KEY: contains something "
             "other than printable ASCII", "correct it"], env={"TEMPORAL_API_KEY": "two words"}),
        Case("No parent key for `reconcile`", "starter.py reconcile brief",
             ["ATXP_API_KEY is not set", "parent key", "set it in .env or the environment"]),
    ],
)  # fmt: skip

WORKER = Section(
    "The worker",
    "It exits with 2 for wrong settings, and with 3 where Temporal refuses it. Where Temporal does"
    " not respond it waits, and logs that.",
    [
        Case("No settings at all",
             "worker.py", ["ATXP_API_KEY: is not set", "SEALING_KEY: is not set",
             "set SEALING_KEY in .env", "Make one: python3 -c"]),
        Case("Several wrong settings", "worker.py", [
            "SEALING_KEY: contains 5 bytes, 32 are needed",
            "MAX_CONCURRENT_CALLS = 0: is too small "
            "(use 1 or more", "WORKFLOW_SANDBOX = maybe: true or false is needed"],
            env={"ATXP_API_KEY": "parent", "SEALING_KEY": "c2hvcnQ=", "MAX_CONCURRENT_CALLS": "0",
                 "WORKFLOW_SANDBOX": "maybe"}),
        Case("A namespace that Temporal does not know", "worker.py", code=3, says=[
            "worker: Temporal at", "has no namespace 'elsewhere'", "set TEMPORAL_NAMESPACE"],
            env={"ATXP_API_KEY": "parent", "SEALING_KEY": KEY, "TEMPORAL_NAMESPACE": "elsewhere"}),
        Case("Temporal is not up yet", "worker.py", code=0, stop_after="waiting for Temporal",
             says=["waiting for Temporal: Temporal does not answer at 127.0.0.1:9", "`make up`"],
             env={"ATXP_API_KEY": "parent", "SEALING_KEY": KEY,
                  "TEMPORAL_ADDRESS": "127.0.0.1:9"}),
    ],
)  # fmt: skip

START_GATEWAY = "python -m durable_agent_team.gateway"
GATEWAY_KEYS = {
    "GATEWAY_PARENT_KEY": "parent-key-of-the-tour", "UPSTREAM_URL": "http://127.0.0.1:9/v1",
    "GATEWAY_SECRET": "a-secret-of-the-tour-of-32-characters", "GATEWAY_PORT": "0",
}  # fmt: skip


def gateway(title: str, says: list[str], files: dict[str, str] | None = None, **env: str) -> Case:
    return Case(
        title,
        START_GATEWAY,
        says,
        files=files or {},
        env={**GATEWAY_KEYS, **env},
    )


def newer_database() -> bytes:
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("PRAGMA user_version = 99")
        return database.serialize()


GATEWAY = Section(
    "The gateway does not start",
    "It exits with 2.",
    [
        gateway("No keys", ["GATEWAY_PARENT_KEY is not set", "GATEWAY_SECRET is not set",
                "openssl rand -hex 32"], GATEWAY_PARENT_KEY="", GATEWAY_SECRET=""),
        gateway("Keys that are too short", ["GATEWAY_PARENT_KEY", "16 characters or more",
                "GATEWAY_SECRET", "32 random"], GATEWAY_PARENT_KEY="short", GATEWAY_SECRET="short"),
        Case("A .env in another encoding", START_GATEWAY, [".env is not UTF-8 text (byte 8)",
             "Save it as UTF-8"], files={".env": b"# Gr\xc3\xbc\xc3\x9f\xfc"}, env=GATEWAY_KEYS),
        gateway("A port that is in use", ["GATEWAY_PORT", "address already in use",
                "Set GATEWAY_PORT to a free port"], GATEWAY_PORT="{taken}"),
        gateway("An address that this machine does not have",
                ["GATEWAY_HOST 192.0.2.1", "cannot be used",
                "127.0.0.1"], GATEWAY_HOST="192.0.2.1"),
        gateway("An upstream that is not a URL", ["UPSTREAM_URL", "`local` or a base URL",
                "api.openai.com"], UPSTREAM_URL="api.openai.com"),
        gateway("A lease that is shorter than a call", ["GATEWAY_LEASE_SECONDS (5) must exceed",
                "UPSTREAM_TIMEOUT_SECONDS (120)"], GATEWAY_LEASE_SECONDS="5"),
        gateway("A missing price file",
                ["GATEWAY_PRICES", "prices.toml cannot be read: No such file",
                "Set GATEWAY_PRICES"], GATEWAY_PRICES="prices.toml"),
        gateway("A price file that is not TOML", ["prices.toml is not TOML", "line 1"],
                files={"prices.toml": "models: m"}, GATEWAY_PRICES="prices.toml"),
        gateway("Invalid prices", ["prices.toml", '[models."m"] input_usd_per_million = -1',
                "greater than or equal to 0", "output_usd_per_million: is missing",
                "outptu_usd_per_million: this key is not known"],
                files={"prices.toml": '[models."m"]\ninput_usd_per_million = -1\n'
                       "outptu_usd_per_million = 2\n"}, GATEWAY_PRICES="prices.toml"),
        gateway("A file that is not a database", ["GATEWAY_DATABASE gateway.db cannot be used",
                "file is not a database", "set GATEWAY_DATABASE"],
                files={"gateway.db": "text\n" * 500}, GATEWAY_DATABASE="gateway.db"),
        gateway("A folder in place of the database", ["GATEWAY_DATABASE gateway.db cannot be used",
                "Is a directory", "set GATEWAY_DATABASE"],
                files={"gateway.db/": ""}, GATEWAY_DATABASE="gateway.db"),
        Case("The database of a newer gateway", START_GATEWAY,
             ["GATEWAY_DATABASE gateway.db is of a newer gateway (version 99)",
              "Start that gateway"],
             files={"gateway.db": newer_database()},
             env={**GATEWAY_KEYS, "GATEWAY_DATABASE": "gateway.db"}),
    ],
)  # fmt: skip

STACK_PORTS = {"TEMPORAL_PORT": "0", "TEMPORAL_UI_PORT": "0", "GATEWAY_PORT": "0"}
SOMEWHERE = {"UPSTREAM_URL": "http://127.0.0.1:9/v1"}
FAKE = '#!/bin/sh\ncase "$*" in\n{case}\nesac\nexec "{python}" "$@"\n'

STACK = Section(
    "`make up` and `make install`",
    "The stack ends with 2 for a wrong setting or a taken port, with 1 where a part does not come"
    " up for another reason. Of a part that does not come up it shows the end of its log.",
    [
        Case("Ports that are in use", "make up", ["TEMPORAL_PORT = ", "Address already in use",
             "GATEWAY_PORT = ", "set GATEWAY_PORT to another port (0: any free one)"],
             env={**STACK_PORTS, "TEMPORAL_PORT": "{taken}", "GATEWAY_PORT": "{taken}"}),
        Case("Invalid ports", "make up", ["TEMPORAL_PORT = http: a whole number",
             "GATEWAY_PORT = 70000: is too large", "use 65,535 or less"],
             env={**STACK_PORTS, "TEMPORAL_PORT": "http", "GATEWAY_PORT": "70000"}),
        Case("A data folder that is a file", "make up", ["DATA_DIR = ", "notes.md: cannot be used",
             "File exists", "set DATA_DIR to a folder that you may write to"],
             files={"notes.md": "x"}, env={**STACK_PORTS, "DATA_DIR": "{here}/notes.md"}),
        Case("A data folder that is not writable", "make up", ["DATA_DIR = /proc/stack: cannot be "
             "used", "set DATA_DIR"], env={**STACK_PORTS, "DATA_DIR": "/proc/stack"}),
        Case("The same port for two processes", "make up", [
             "GATEWAY_PORT = 41999: this is TEMPORAL_PORT already", "another port (0: any free"],
             env={**STACK_PORTS, "TEMPORAL_PORT": "41999", "GATEWAY_PORT": "41999"}),
        Case("A wrong setting of the worker", "make up", ["SEALING_KEY: contains 5 bytes",
             "MAX_CACHED_RUNS = 0: is too small", "use 1 or more"],
             env={**STACK_PORTS, "SEALING_KEY": "c2hvcnQ=", "MAX_CACHED_RUNS": "0"}),
        Case("A wrong setting of the gateway", "make up", part="the local stack", first=2,
             says=["gateway ended with exit code 2", "gateway does not come up", "gateway.log",
                   "prices.toml cannot be read"],
             env={**STACK_PORTS, **SOMEWHERE, "GATEWAY_PRICES": "{here}/prices.toml"}),
        Case("Debian's Python without venv", "make install", code=1, says=[
             "cannot make virtual environments", "venv or ensurepip is missing",
             "apt install python3-venv"], env={"PYTHON": "{here}/python"},
             files={"python": FAKE.replace("{case}", "*ensurepip*) exit 1;;")}),
        Case("A Python that is too old", "make install", code=1, says=[
             "Python 3.11 or newer is needed", "is 3.9", "apt install python3.11",
             "make PYTHON=python3.11"], env={"PYTHON": "{here}/python"},
             files={"python": FAKE.replace("{case}", "*print*) echo 3.9; exit;; *) exit 1;;")}),
        Case("No Python", "make install", code=1, env={"PYTHON": "python3.99"}, says=[
             "there is no python3.99", "apt install python3 python3-venv", "make PYTHON="]),
    ],
)  # fmt: skip

SECTIONS = [CLIENT, WORKER, GATEWAY, STACK]
