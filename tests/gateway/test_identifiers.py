"""Ids are unique, in processes that were forked from one another, too."""

import subprocess
import sys

FORKED = """
import os
from durable_agent_team.gateway.identifiers import call_id, request_id
if os.fork():
    os.wait()
print(*(make() for make in (call_id, request_id) for _ in range(3)), flush=True)
os._exit(0)
"""


def test_a_forked_process_gives_out_ids_of_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKED], capture_output=True, text=True, check=True
    )
    ids = done.stdout.split()
    assert len(ids) == 12
    assert len(set(ids)) == 12
    assert {len(each) for each in ids} == {12, 32}
