"""Whether a provider refused a prompt since it does not fit the model's context.

Only some have a code for it. The others say it only in words, under the code of any bad request:

- OpenAI, Azure, Groq: `context_length_exceeded`; llama.cpp: `exceed_context_size_error`; Anthropic,
  of more than 32 MB: `request_too_large`
- Anthropic: "prompt is too long: 210000 tokens > 200000 maximum", "input length and `max_tokens`
  exceed context limit"
- Google: "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
  Vertex AI: "the input token count is 40000 but model only supports up to 32768"
- DeepSeek, vLLM, OpenRouter: "This model's maximum context length is 131072 tokens. However, …"
- Mistral: "Prompt contains 40000 tokens …, too large for model with 32768 maximum context length"
- xAI: "This model's maximum prompt length is 131072 but the request contains 140000 tokens."
- Ollama, LM Studio: "the input length exceeds the context length", "the first 5000 tokens when
  context the overflows"; Bedrock: "Input is too long for requested model."
- SGLang: "The input (9000 tokens) is longer than the model's context length (8192 tokens)."
- TGI, Together: "`inputs` tokens + `max_new_tokens` must be <= 4096", "`inputs` must have less
  than 4096 tokens"
- Moonshot: "Your request exceeded model token limit: 8192"; Alibaba: "Range of input length should
  be [1, 30720]"; MiniMax: "context window exceeds limit"; Z.ai: code 1261, "Prompt exceeds max
  length"
- Cohere: "too many tokens: total number of tokens in the prompt cannot exceed 128000"; watsonx:
  "the number of input tokens 9000 cannot exceed the total tokens limit 8192"
- LM Studio: "The number of tokens to keep from the initial prompt is greater than the context
  length"; Volcengine: "Total tokens of image and text exceed max message tokens"; Bedrock: "Number
  of input tokens exceeds maximum length"; Copilot: `model_max_prompt_tokens_exceeded`
- Cloudflare: "… exceeded this model context window limit"; GitHub Models: `tokens_limit_reached`;
  vLLM, of a prompt that leaves no room for an answer: "max_tokens must be at least 1, got -186.",
  "… resulting in a maximum input length of 6192 tokens."

A text decides nothing about money here: with these statuses nothing was generated.
"""

import re
from typing import Final

from durable_agent_team.providers.error_body import ErrorBody

STATUSES: Final = frozenset({400, 413, 422})
CODES: Final = frozenset(
    {
        "context_length_exceeded",
        "context_window_exceeded",
        "exceed_context_size_error",
        "request_too_large",
        "tokens_limit_reached",
        "model_max_prompt_tokens_exceeded",
        "1261",
    }
)
LOOKED_AT: Final = 2_000
_WORDS: Final = re.compile(
    r"prompt is too long"
    r"|prompt exceeds max(imum)? length"
    r"|maximum (context|prompt) length"
    r"|longer than the model's context length"
    r"|resulting in a maximum input length of"
    r"|initial prompt is greater than the context length"
    r"|exceed max message tokens"
    r"|number of input tokens exceeds maximum length"
    r"|exceed(s|ed)? (the |this )?((model's|model|available|maximum) )*context"
    r"|context (window|length) exceed"
    r"|tokens when context the overflows"
    r"|exceeded model token limit"
    r"|input token count\b.{0,40}\b(exceeds|only supports up to)"
    r"|exceeds the maximum number of tokens allowed"
    r"|`inputs` (tokens \+ `max_new_tokens` must be <=|must have less than)"
    r"|range of input length should be"
    r"|tokens (in the prompt|\d+) cannot exceed"
    r"|max_tokens must be at least 1, got -"
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
