"""The scripted upstream as the benchmark sees it: rules by marker, counts over HTTP."""

import re
from typing import Any

import httpx

LATENCIES_MS = (1, 50, 100, 200, 500, 600, 700, 800, 900, 1000, 1200, 1500, 3000)
KILOBYTE = "[1 KB]"
SIXTY_KILOBYTES = "[60 KB]"
TURNS = "@@turns"
"""Orders calls of a tool: see `tests.support.obedient_model`."""
MODEL = "bench"

_WORDS = (
    *("demand", "margin", "quarter", "supplier", "battery", "range", "city", "dealer", "price"),
    *("share", "forecast", "growth", "risk", "policy", "subsidy", "import", "tariff", "channel"),
    *("service", "warranty", "segment", "brand", "factory", "cost", "labour"),
)


def latency(milliseconds: int) -> str:
    """The marker that makes the upstream take so long over a prompt. 0: as fast as it can."""
    if milliseconds and milliseconds not in LATENCIES_MS:
        raise ValueError(f"{milliseconds} ms is not one of {LATENCIES_MS}")
    return f"[{milliseconds} ms]"


def latency_seconds(ask: str) -> float:
    """The latency that a marker in this text requests."""
    found = re.search(r"\[(\d+) ms\]", ask)
    return int(found.group(1)) / 1000 if found else 0.0


def kilobyte() -> str:
    """1,024 characters of prose that compresses like prose, not like a row of x."""
    words: list[str] = []
    state = 7
    while sum(map(len, words)) + len(words) < 1_100:
        state = (state * 1_103_515_245 + 12_345) % 2**31
        words.append(f"{_WORDS[state // 65_536 % len(_WORDS)]} {state % 1_000}")
    return " ".join(words)[:1_024]


def rules() -> list[dict[str, Any]]:
    timed = [{"contains": latency(ms), "latency": ms / 1000} for ms in LATENCIES_MS]
    long = {"contains": SIXTY_KILOBYTES, "text": kilobyte() * 60}
    turns = {"contains": TURNS, "obeys": True}
    return [{"contains": KILOBYTE, "text": kilobyte()}, long, turns, *timed]


class Upstream:
    """`url` is the base URL that an OpenAI client wants."""

    def __init__(self, url: str, http: httpx.AsyncClient) -> None:
        self.url = url
        self._http = http
        self._control = url.removesuffix("/v1") + "/control"

    async def reset(self) -> None:
        """Forgets all counts."""
        (await self._http.delete(f"{self._control}/rules")).raise_for_status()
        (await self._http.post(f"{self._control}/rules", json=rules())).raise_for_status()

    async def counts(self) -> dict[str, Any]:
        counts: dict[str, Any] = (await self._http.get(f"{self._control}/counts")).json()
        return counts

    async def requests(self) -> list[dict[str, Any]]:
        """Every request since the reset, where the upstream records them."""
        requests: list[dict[str, Any]] = (await self._http.get(f"{self._control}/requests")).json()
        return requests
