"""Pure: finds calls of tools that a server left in the text of an answer.

Where a server's parser of tool calls is off, or not the model's, the call comes as text, in the
model's own markup, with a `finish_reason` of `stop`: it would be handed on as the answer. It is not
taken as a call: the same text may be a quote from a page that the model has read.

Seen: Hermes, Qwen and GLM (`<tool_call>`), Qwen-Agent (`✿FUNCTION✿`), Mistral (`[TOOL_CALLS]`),
Llama (`<|python_tag|>`, `<function=…>`, plain JSON), DeepSeek (`<｜tool▁calls▁begin｜>`, and
`<｜DSML｜tool_calls>`, with or without what is around its calls), Kimi
(`<|tool_calls_section_begin|>`), MiniMax (`<minimax:tool_call>`, `[TOOL_CALL]`), Seed, LongCat,
Step (`<｜tool_calls_begin｜>`), Granite (`<|tool_call|>`), Cohere (`<|START_ACTION|>`), Phi-4
(`functools[`), Nemotron (`<TOOLCALL>`), LFM2 (`<|tool_call_start|>`), InternLM
(`<|action_start|>`), Apertus (`<|tools_prefix|>`), Gemma (`<start_function_call>`, a fence of
`tool_code`), gpt-oss (`commentary to=functions.…`), Anthropic (`<function_calls>`, `<invoke …>`).
"""

import re
from collections.abc import Collection
from typing import Final

from durable_agent_team.rules import model_json
from durable_agent_team.rules.fences import unfenced

_DSML: Final = r"(?:[｜|]DSML[｜|])?"
_MARK: Final = re.compile(
    rf"^[ \t]{{0,9}}(<{_DSML}(?:function|tool)_calls>|<{_DSML}invoke name=|<\|?tool_calls?\|?>"
    r"|<(?:[a-z]{1,12}[:_])?(?:tool_call|function_calls)>|\[TOOL_CALLS?\]|<TOOLCALL>"
    r"|<\|python_tag\|>|<function=[\w.-]{1,64}>|<[｜|]tool[▁_]calls?(?:_section)?[▁_]begin[｜|]>"
    r"|<\|tool_call_start\|>|<start_function_call>|<\|START_ACTION\|>|<\|action_start\|>"
    r"|<\|tools_prefix\|>|✿FUNCTION✿|functools\[|```tool_code\b|commentary to=functions\.)",
    re.MULTILINE,
)
_OF_A_CALL: Final = frozenset({"type", "id", "name", "arguments", "parameters"})
MAX_PLAIN: Final = 100_000
"""Characters of a call that is written as JSON without any markup."""


def leaked_call(text: str, names: Collection[str] = ()) -> str | None:
    """The markup of a call at the beginning of a line, outside of fences, or the whole text if it
    is the JSON of a call of one of these tools; None if there is none."""
    fences = seen = 0
    for found in _MARK.finditer(text):
        fences += text.count("```", seen, found.start())
        seen = found.start()
        if fences % 2 == 0:
            return found[1]
    return _plain_call(text, names)


def _plain_call(text: str, names: Collection[str]) -> str | None:
    plain = unfenced(text).strip()
    if not plain.startswith("{") or len(plain) > MAX_PLAIN:
        return None
    try:
        value = model_json.parse(plain)
    except ValueError:
        return None
    is_call = value.keys() <= _OF_A_CALL and value.keys() & {"arguments", "parameters"}
    name = value.get("name")
    return f'{{"name": "{name}", …' if is_call and isinstance(name, str) and name in names else None
