"""Answers in the shape that everybody reads, whichever shape an upstream has put them into.

They were made and billed, and can be read; a client that looks for `message.content` and
`tool_calls` alone would find nothing. Seen of servers and proxies:

- a whole answer with a `delta`, a stream with a `message`, either with a `text` (as completions
  have it), a choice that the filter has left without any message, and one of a chunk without any
  delta (Azure)
- a `finish_reason` that is a word for nothing, such as `"null"`, in every chunk (Alibaba)
- content as a list of texts, as one part, and as the JSON that was asked for (Cloudflare)
- a model's text in one choice and its calls in another, of a request for one answer (GitHub
  Copilot)
- `function_call` for a request with `tools`, arguments as an object (Ollama), a call without its
  `function` around it (Cloudflare), `parameters` for `arguments` (Llama), one call instead of a
  list of them
"""

import json
from typing import Any, Final

from durable_agent_team.providers.finish_reasons import says_nothing

Json = dict[str, Any]
MESSAGE: Final = "message"
DELTA: Final = "delta"
TEXT_PARTS: Final = ("text", "output_text")


def usual_answer(data: Json, *, functions: bool) -> None:
    """Changes a whole answer, in place. It has one choice, as every request asks for. `functions`:
    whether its request has `functions`, the older name of tools."""
    choices = data.get("choices")
    if not isinstance(choices, list) or not all(isinstance(each, dict) for each in choices):
        return
    for choice in choices:
        _usual_choice(choice, MESSAGE, functions=functions)
    if len(choices) > 1:
        data["choices"] = [_joined(choices)]


def usual_chunk(choices: list[Json], *, functions: bool) -> bool:
    """Changes the choices of a chunk, in place. Returns whether anything was changed."""
    changed = False
    for choice in choices:
        changed |= _usual_choice(choice, DELTA, functions=functions)
    return changed


def _usual_choice(choice: Json, name: str, *, functions: bool) -> bool:
    changed = False
    reason = choice.get("finish_reason")
    if isinstance(reason, str) and says_nothing(reason):
        choice["finish_reason"] = None
        changed = True
    said = choice.get(name)
    if not isinstance(said, dict):
        said = _elsewhere(choice, name)
        if said is None:
            return False
        choice[name] = said
        changed = True
    content = said.get("content")
    if content is not None and not isinstance(content, str):
        text = _text(content)
        if text is not None:
            said["content"] = text
            changed = True
    if not functions and isinstance(called := said.get("function_call"), dict):
        del said["function_call"]
        if not said.get("tool_calls"):
            number = {"index": 0} if name == DELTA else {}
            said["tool_calls"] = [{**number, "type": "function", "function": called}]
        if choice.get("finish_reason") == "function_call":
            choice["finish_reason"] = "tool_calls"
        changed = True
    elif not functions and choice.get("finish_reason") == "function_call":
        choice["finish_reason"] = "tool_calls"
        changed = True
    if isinstance(said.get("tool_calls"), dict) and "function" in said["tool_calls"]:
        said["tool_calls"] = [said["tool_calls"]]
        changed = True
    if said.get("tool_calls"):
        changed |= _usual_calls(said["tool_calls"])
    return changed


def _elsewhere(choice: Json, name: str) -> Json | None:
    """What a choice says, where it is not under its usual name; None where it says nothing."""
    other = choice.pop(DELTA if name == MESSAGE else MESSAGE, None)
    if isinstance(other, dict):
        return other
    if isinstance(choice.get("text"), str):
        return {"content": choice.pop("text")}
    if name == DELTA:
        return {}
    if name == MESSAGE and isinstance(choice.get("finish_reason"), str):
        return {"role": "assistant", "content": None}
    return None


def _text(content: Any) -> str | None:
    """Content of another type as a text; None for a list of parts, which is usual too."""
    if isinstance(content, list):
        if not content or any(isinstance(each, dict) and "type" in each for each in content):
            return None
        if all(isinstance(each, str) for each in content):
            return "".join(content)
    elif isinstance(content, dict):
        if content.get("type") in TEXT_PARTS and isinstance(content.get("text"), str):
            return str(content["text"])
    else:
        return None
    return json.dumps(content, ensure_ascii=False)


def _usual_calls(calls: Any) -> bool:
    changed = False
    for call in calls if isinstance(calls, list) else []:
        if not isinstance(call, dict):
            continue
        if "function" not in call and isinstance(call.get("name"), str):
            own = ("name", "arguments", "parameters")
            call["function"] = {each: call.pop(each) for each in own if each in call}
            call["type"] = "function"
            changed = True
        function = call.get("function")
        if not isinstance(function, dict):
            continue
        if "arguments" not in function and "parameters" in function:
            function["arguments"] = function.pop("parameters")
            changed = True
        if isinstance(given := function.get("arguments"), dict):
            function["arguments"] = json.dumps(given, ensure_ascii=False)
            changed = True
    return changed


def _joined(choices: list[Json]) -> Json:
    """The parts of one answer: its first text, and every call."""
    ordered = sorted(choices, key=_index)
    messages = [each[MESSAGE] for each in ordered if isinstance(each.get(MESSAGE), dict)]
    if not messages:
        return ordered[0]
    calls = [
        call
        for each in messages
        for call in (each["tool_calls"] if isinstance(each.get("tool_calls"), list) else [])
    ]
    first = next((each for each in messages if each.get("content")), messages[0])
    with_calls = next((each for each in ordered if _has_calls(each)), ordered[0])
    message = {**first, **({"tool_calls": calls} if calls else {})}
    return {**with_calls, "index": 0, MESSAGE: message}


def _has_calls(choice: Json) -> bool:
    message = choice.get(MESSAGE)
    return isinstance(message, dict) and bool(message.get("tool_calls"))


def _index(choice: Json) -> int:
    index = choice.get("index")
    return index if isinstance(index, int) else 0
