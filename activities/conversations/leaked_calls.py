"""Pure: finds calls of tools that a server left in the text of an answer.

Where a server's parser of tool calls is off, or not the model's, the call comes as text, in the
model's own markup, with a `finish_reason` of `stop`: it would be handed on as the answer. It is not
taken as a call: the same text may be a quote from a page that the model has read.

Seen: Hermes, Qwen and GLM (`<tool_call>`), Mistral (`[TOOL_CALLS]`), Llama (`<|python_tag|>`,
`<function=…>`), DeepSeek (`<｜tool▁calls▁begin｜>`, `<｜DSML｜function_calls>`), Kimi
(`<|tool_calls_section_begin|>`), MiniMax (`<minimax:tool_call>`), Granite (`<|tool_call|>`), Cohere
(`<|START_ACTION|>`), Phi-4 (`functools[`), Anthropic (`<function_calls>`).
"""

import re
from typing import Final

_MARK: Final = re.compile(
    r"^[ \t]{0,9}(<\|?tool_calls?\|?>|\[TOOL_CALLS\]|<\|python_tag\|>|<function=[\w.-]{1,64}>"
    r"|<(?:｜DSML｜)?function_calls>|<｜tool▁calls?▁begin｜>|<\|tool_calls?(?:_section)?_begin\|>"
    r"|<minimax:tool_call>|<\|START_ACTION\|>|functools\[)",
    re.MULTILINE,
)


def leaked_call(text: str) -> str | None:
    """The markup of a call at the beginning of a line, outside of fences; None if there is none."""
    fences = seen = 0
    for found in _MARK.finditer(text):
        fences += text.count("```", seen, found.start())
        seen = found.start()
        if fences % 2 == 0:
            return found[1]
    return None
