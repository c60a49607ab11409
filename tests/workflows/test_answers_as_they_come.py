"""A run whose answers come as servers send them, each odd in its way: each is paid once."""

import asyncio
import json
import uuid
from typing import Any

from temporalio.client import Client

from durable_agent_team.contracts.run import RunReport, RunStatus
from durable_agent_team.contracts.spend import LedgerAgreement
from tests.support.packages import all_rooms
from tests.support.upstream import Rule
from tests.workflows.runs import team

OAK = '{"name": "oak"}'
USAGE = {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25}
TREE = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


def whole(content: str | None = OAK, **more: Any) -> str:
    message = {"role": "assistant", "content": content, **more}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return json.dumps({"choices": [choice], "usage": USAGE})


def streamed(content: str) -> str:
    parts = [{"content": content[:5]}, {"content": content[5:]}, {}]
    chunks: list[dict[str, Any]] = [{"choices": [{"index": 0, "delta": each}]} for each in parts]
    chunks[-1]["choices"][0]["finish_reason"] = "stop"
    chunks.append({"choices": [], "usage": USAGE})
    return "".join(f"data: {json.dumps(each)}\n\n" for each in chunks) + "data: [DONE]\n\n"


COME: dict[str, Rule] = {
    "created": Rule(status=201, body=whole()),
    "stream": Rule(body=streamed(OAK)),
    "bytes-after": Rule(body=whole() + "\n\ndata: [DONE]\n"),
    "end-token": Rule(body=whole(f"{OAK}<|end|>")),
    "two-ends": Rule(body=whole(f"{OAK}<|eot_id|>\n</s>\n")),
    "box": Rule(body=whole(f"<think>Hm.</think>\n<|begin_of_box|>{OAK}<|end_of_box|>")),
    "final": Rule(body=whole(f"<|channel|>final <|constrain|>json<|message|>{OAK}<|return|>")),
    "bare": Rule(body=whole(f"analysisA tree.assistantfinal{OAK}")),
    "as-thinking": Rule(body=whole(None, reasoning=OAK)),
    "parts": Rule(
        body=whole().replace(
            json.dumps(OAK),
            json.dumps([{"type": "thinking", "thinking": []}, {"type": "text", "text": OAK}]),
        )
    ),
}


async def test_each_answer_is_paid_once_and_taken(client: Client) -> None:
    async with all_rooms(client) as rooms:
        tasks = []
        for name, rule in COME.items():
            rule.contains = f"Name a tree: {name}."
            rooms.upstream.add(rule)
            ask = f"Name a tree: {name}."
            tasks.append({"id": name, "agent": "research", "ask": ask, "output": TREE})
        asked = {
            "team": team(tasks=tasks, result="parts", final="handoff"),
            "goal": "Know all the trees there are.",
        }
        handle = await rooms.start(asked, f"run-{uuid.uuid4()}")
        report = RunReport.model_validate(await asyncio.wait_for(handle.result(), 60))
        assert report.status is RunStatus.COMPLETED
        assert {each.task.id: json.loads(each.output or "") for each in report.outcomes} == {
            name: {"name": "oak"} for name in COME
        }
        assert rooms.upstream.count == len(COME)
        assert report.spend.ledger_agrees is LedgerAgreement.YES
        assert report.spend.total.spent_usd == rooms.ledger_usd()
