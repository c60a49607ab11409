"""A program as a user writes one, without a framework: two calls of a model, the second with the
first one's answer. Arguments: what to do besides, see below."""

import json
import os
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any


def main(*does: str) -> None:
    task = json.load(sys.stdin)
    print("the program has started", file=sys.stderr)
    if "paced" in does:  # a call for each file that the test makes
        for number in range(3):
            while not (Path(does[-1]) / str(number)).exists():
                time.sleep(0.02)
            model(f"Call {number}")
    first = model(f"First: {task['ask']}")
    if "wait" in does:  # its process id, for the test that looks whether it is dead
        mark = Path(does[-1])
        if not mark.exists():
            mark.write_text(str(os.getpid()))
            time.sleep(600)
    if "repairs" in does and not task["rejected"]:
        print("no")
        return
    again = " ".join(task["rejected"]["reasons"]) if task["rejected"] else ""
    # More expensive than the first: a limit can be between the two.
    print(f"answer: {model(f'Second, after {first}. {again}', max_tokens=200)}")


def model(prompt: str, max_tokens: int = 50) -> str:
    body = {
        "model": os.environ["AGENT_MODEL"],
        "max_tokens": max_tokens,
        "messages": [{"role": "user", "content": prompt}],
    }
    request = urllib.request.Request(
        f"{os.environ['AGENT_BASE_URL']}/chat/completions",
        json.dumps(body).encode(),
        {
            "Authorization": f"Bearer {os.environ['AGENT_API_KEY']}",
            "Content-Type": "application/json",
        },
    )
    with urllib.request.urlopen(request) as answer:
        found: dict[str, Any] = json.load(answer)
    return str(found["choices"][0]["message"]["content"])


if __name__ == "__main__":
    main(*sys.argv[1:])
