"""Pure: what a billed completion is: an answer, half of one, a refusal, or only thinking."""

from dataclasses import dataclass

from activities.calls.thinking_blocks import without_thinking
from durable_agent_team.atxp.chat_client import Completion
from durable_agent_team.contracts.call import MAX_REFUSAL
from durable_agent_team.providers.finish_reasons import Ending, ending_of, says_nothing
from durable_agent_team.rules import model_json
from durable_agent_team.rules.safe_text import is_blank

NO_WORDS = "the model gave no reason"


@dataclass(frozen=True)
class Reading:
    """A completion, its parts apart. Texts without lone surrogates, which cannot be stored."""

    answer: str
    """Without the thinking before it; empty where there is none."""
    thinking: str
    ending: Ending
    refusal: str
    """The model's words; empty if it did not refuse."""
    cut_off: str | None
    """The reason that goes back to the agent with an incomplete answer; None for a complete one."""


def read(done: Completion, max_tokens: int, *, wants_json: bool = False) -> Reading:
    """`max_tokens` is what the call was limited to."""
    split = without_thinking(_storable(done.text))
    thinking = "\n\n".join(each for each in (_storable(done.thinking), split.thinking) if each)
    answer = split.answer
    if wants_json and is_blank(answer) and _is_misplaced(done, thinking):
        answer, thinking = thinking, ""
    ending = _ending(done, max_tokens, has_answer=not is_blank(answer))
    refusal = _storable(done.refusal).strip()
    if ending is Ending.REFUSAL and not refusal:
        refusal = answer.strip() or NO_WORDS
    return Reading(
        answer=answer,
        thinking=thinking,
        ending=Ending.REFUSAL if refusal else ending,
        refusal=refusal[:MAX_REFUSAL],
        cut_off=_cut_off(done, max_tokens, ending, answer, thinking),
    )


def _is_misplaced(done: Completion, thinking: str) -> bool:
    """Whether the thinking is JSON and nothing else. Some servers take all that a model writes for
    thinking where it did not think: its answer comes there, and no other."""
    if ending_of(done.finish_reason) is not Ending.STOP or done.message.get("tool_calls"):
        return False
    try:
        return isinstance(model_json.parse(thinking), dict | list)
    except ValueError:
        return False


def _ending(done: Completion, max_tokens: int, *, has_answer: bool) -> Ending:
    """Where the provider says nothing, or says that thinking without an answer is complete, a limit
    that is used up decides."""
    ending = ending_of(done.finish_reason)
    is_full = done.usage.completion_tokens >= max_tokens
    if ending is Ending.STOP and is_full and (says_nothing(done.finish_reason) or not has_answer):
        return Ending.LENGTH
    return ending


def _cut_off(
    done: Completion, max_tokens: int, ending: Ending, answer: str, thinking: str
) -> str | None:
    match ending:
        case Ending.LENGTH:
            return _at_the_limit(done, max_tokens, answer, thinking)
        case Ending.CONTENT_FILTER:
            word = done.finish_reason
            return f"The provider's content filter cut the answer off ({word})."
        case Ending.ERROR:
            return f"The provider broke the answer off ({done.finish_reason})."
    return None


def _at_the_limit(done: Completion, max_tokens: int, answer: str, thinking: str) -> str:
    thought = done.usage.reasoning_tokens
    used = max(done.usage.completion_tokens or max_tokens, thought)
    if not is_blank(answer):
        share = f", of which {thought} went into thinking" if thought else ""
        return f"The answer was cut off at {used} tokens{share}."
    if thought or thinking:
        return f"There is no answer: {thought or used} of {used} tokens went into thinking."
    return f"There is no answer: it was cut off at {used} tokens."


def _storable(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
