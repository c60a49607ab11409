"""Whether a provider refused a prompt since it does not fit the model's context.

Only some have a code for it. The others say it only in words, under the code of any bad request:

- OpenAI, Azure, Groq: `context_length_exceeded`; llama.cpp: `exceed_context_size_error`; Anthropic,
  of more than 32 MB: `request_too_large`
- Anthropic: "prompt is too long: 210000 tokens > 200000 maximum", "input length and `max_tokens`
  exceed context limit"
- Google: "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."
- DeepSeek, vLLM, OpenRouter: "This model's maximum context length is 131072 tokens. However, …"
- Mistral: "Prompt contains 40000 tokens …, too large for model with 32768 maximum context length"
- xAI: "This model's maximum prompt length is 131072 but the request contains 140000 tokens."
- Ollama, LM Studio: "the input length exceeds the context length"; Bedrock: "Input is too long for
  requested model."

A text decides nothing about money here: with these statuses nothing was generated.
"""

import re
from typing import Final

from durable_agent_team.providers.error_body import ErrorBody

STATUSES: Final = frozenset({400, 413, 422})
CODES: Final = frozenset(
    {"context_length_exceeded", "exceed_context_size_error", "request_too_large"}
)
LOOKED_AT: Final = 2_000
_WORDS: Final = re.compile(
    r"prompt is too long"
    r"|maximum (context|prompt) length"
    r"|exceeds? (the )?((model's|available|maximum) )*context"
    r"|input token count\b.{0,40}\bexceeds"
    r"|exceeds the maximum number of tokens allowed"
    r"|input is too long for requested model",
    re.IGNORECASE,
)


def says_context_exceeded(status: int, error: ErrorBody) -> bool:
    """`status` is that of the response, or the one that is in the error."""
    if status not in STATUSES:
        return False
    if CODES & set(error.codes):
        return True
    return error.message is not None and _WORDS.search(error.message[:LOOKED_AT]) is not None
