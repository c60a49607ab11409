"""Checks of an answer. They return the reasons for a rejection, which the agent gets back."""

from collections.abc import Iterator
from dataclasses import dataclass

from activities.judging.quotes import missing_quotes, quotes_in_json, quotes_in_text
from activities.judging.schemas import schema_errors
from durable_agent_team.contracts.bounded_text import cut
from durable_agent_team.contracts.call import MAX_ANSWER
from durable_agent_team.rules import model_json
from durable_agent_team.rules.safe_text import is_blank

MAX_REASONS = 10
MAX_REASON = 300


@dataclass(frozen=True)
class AnswerCheck:
    """All that decides whether an answer is accepted. Plain values, since it goes to the child."""

    answer: str
    schema_text: str | None = None
    """The schema as JSON; None for plain text."""
    sources: tuple[str, ...] | None = None
    """Where the answer's quotes must be; None if they are not checked."""
    min_length: int | None = None
    max_length: int | None = None

    @property
    def is_too_long(self) -> bool:
        return len(self.answer) > MAX_ANSWER


def reasons_against(check: AnswerCheck) -> tuple[str, ...]:
    """Why the answer may not be handed on; empty if it may. Raises `InvalidSchema`."""
    found: list[str] = []
    for reason in _reasons(check):
        found.append(cut(reason, MAX_REASON))
        if len(found) == MAX_REASONS:
            break
    return tuple(found)


def _reasons(check: AnswerCheck) -> Iterator[str]:
    if check.is_too_long:
        yield f"The answer has more than {MAX_ANSWER} characters. Answer far more briefly."
        return
    answer = check.answer
    if is_blank(answer):
        yield "The answer is empty. Answer the request."
        return
    yield from _length(check)
    if check.schema_text is None:
        quotes = quotes_in_text(answer)
    else:
        try:
            value = model_json.parse(answer, unique_keys=True)
        except ValueError as error:
            yield f"The answer is not JSON ({cut(str(error), 120)}). Answer with JSON alone."
            return
        yield from schema_errors(check.schema_text, value)
        quotes = quotes_in_json(value)
    if check.sources is not None:
        yield from missing_quotes(quotes, check.sources)


def _length(check: AnswerCheck) -> Iterator[str]:
    length, least, most = len(check.answer), check.min_length, check.max_length
    if least is not None and length < least:
        yield f"The answer has {length} characters; at least {least} are asked for."
    if most is not None and length > most:
        yield f"The answer has {length} characters; at most {most} are allowed. Shorten it."
