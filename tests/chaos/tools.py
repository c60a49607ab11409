"""The tools and the program of a storm's agents. Each call of a tool adds a line to a file.

Run in processes of the worker, so they import nothing but the standard library.
"""

import json
import os
import time
import urllib.request
from pathlib import Path
from typing import Any

EFFECTS = "effects.jsonl"


def charge(n: int, task: str, folder: str, key: str) -> str:
    """Has an effect that must not happen twice.

    Args:
        n: Which one.
        task: Whose.
        folder: Where it is counted.
        key: Of the call.
    """
    return _count("charge", n, task, folder, key)


def note(n: int, task: str, folder: str, key: str) -> str:
    """Has an effect that happens once for each key.

    Args:
        n: Which one.
        task: Whose.
        folder: Where it is counted.
        key: Of the call.
    """
    return _count("note", n, task, folder, key)


def look(n: int, task: str) -> str:
    """Reads.

    Args:
        n: Which one.
        task: Whose.
    """
    time.sleep(0.02)
    return f"number {n} of {task}"


def _count(tool: str, n: int, task: str, folder: str, key: str) -> str:
    line = json.dumps({"tool": tool, "n": n, "task": task, "key": key, "at": time.time()})
    path = Path(folder) / EFFECTS
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, f"{line}\n".encode())  # at once, also from many processes
    finally:
        os.close(descriptor)
    time.sleep(0.3)  # so that kills fall between the effect and its result
    return f"{tool} {n}"


def calls(task: Any) -> str:
    """A program of three calls, each with the answer of the one before."""
    answer = ""
    for number in range(3):
        answer = _model(task, f"{task.ask} Step {number}. {answer[:40]}")
    return answer


def _model(task: Any, prompt: str) -> str:
    body = {
        "model": task.model,
        "max_tokens": 100,
        "messages": [{"role": "user", "content": prompt}],
    }
    headers = {
        "Authorization": f"Bearer {task.client.api_key}",
        "Content-Type": "application/json",
    }
    address = f"{task.client.base_url}/chat/completions"
    data = json.dumps(body).encode()
    for attempt in range(5):  # as a program's own client library retries
        try:
            request = urllib.request.Request(address, data, headers)
            with urllib.request.urlopen(request, timeout=10) as response:
                found: dict[str, Any] = json.load(response)
            return str(found["choices"][0]["message"]["content"])
        except (OSError, ValueError, LookupError):
            if attempt == 4:
                raise
            time.sleep(0.3)
    raise AssertionError
