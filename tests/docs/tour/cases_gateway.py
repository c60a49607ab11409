"""What the gateway answers, in OpenAI's error shape, with a type and a code to tell them apart."""

from tests.docs.tour.case import Case, Section

CHAT = "POST /v1/chat/completions"
HELLO = '"messages": [{"role": "user", "content": "Hello"}]'


def chat(title: str, status: int, body: str, *says: str, key: str = "agent") -> Case:
    return Case(title, f"{CHAT} {body}", says, code=status, key=key)  # type: ignore[arg-type]


def account(title: str, status: int, request: str, *says: str, key: str = "parent") -> Case:
    return Case(title, request, says, code=status, key=key)  # type: ignore[arg-type]


CALLS = Section(
    "The gateway: chat completions",
    "`POST /v1/chat/completions` with an agent's key. `smollm2-135m` has a price here.",
    [
        chat("An unknown key", 401, f'{{"model": "smollm2-135m", {HELLO}}}',
             "invalid_api_key", "The key is unknown", "Authorization: Bearer KEY", key="wrong"),
        chat("The parent key", 403, f'{{"model": "smollm2-135m", {HELLO}}}', "wrong_kind_of_key",
             "The parent key cannot chat", "open an account", key="parent"),
        chat("An exhausted account", 402, f'{{"model": "smollm2-135m", {HELLO}}}',
             "budget_exhausted", "remaining_usd", "required_usd", key="poor"),
        chat("A disabled account", 402, f'{{"model": "smollm2-135m", {HELLO}}}',
             "account_disabled", "disabled", "PATCH", key="disabled"),
        chat("A model without a price", 400, f'{{"model": "house-9", {HELLO}}}', "unpriced_model",
             "'house-9' has no price", "prices.toml", "input_usd_per_million"),
        chat("A model whose provider has no key", 400, f'{{"model": "gpt-5-mini", {HELLO}}}',
             "unpriced_model", "needs OPENAI_API_KEY", "set it in .env"),
        chat("No model", 400, f"{{{HELLO}}}", "`model` must name a model", "GET /v1/models"),
        chat("No messages", 400, '{"model": "smollm2-135m"}', "`messages` must be a list of at "
             "least one"),
        chat("A body that is not an object", 400, "[]", "not_json", "must be a JSON object"),
        chat("Several answers in one request", 400, f'{{"model": "smollm2-135m", "n": 3, {HELLO}}}',
             "`n` must be 1", "one request for each answer"),
        chat("A parameter of unknown cost", 400,
             f'{{"model": "smollm2-135m", "web_search": true, {HELLO}}}', "`web_search` is not kno"
             "wn here", "cannot be bounded", "Leave it out, or add it to `parameters`"),
        chat("Audio", 400, '{"model": "smollm2-135m", "messages": [{"role": "user", "content":'
             ' [{"type": "input_audio"}]}]}', "images and files can be bounded", "type `text`"),
        chat("An invalid max_tokens", 400, f'{{"model": "smollm2-135m", "max_tokens": 0, {HELLO}'
             "}", "`max_tokens` must be a whole number from 1"),
        chat("An upstream that fails", 500, '{"model": "smollm2-135m", "messages": [{"role": "user"'
             ', "content": "Ask for 500."}]}', "scripted 500"),
    ],
)  # fmt: skip

ACCOUNTS = Section(
    "The gateway: accounts",
    "With the parent key. `{id}` is an account's id.",
    [
        account("An agent's key", 403, "GET /v1/agents/{id}", "An agent's key cannot manage",
                "use the parent key", key="agent"),
        account("No key", 401, "GET /v1/agents/{id}", "Authorization: Bearer KEY", key="none"),
        account("An account without a name", 400, 'POST /v1/agents {"budget": 1}',
                "`name` must be a string of 1 to 200 characters", "got None"),
        account("A negative budget", 400, 'POST /v1/agents {"name": "a", "budget": -1}',
                "`budget` must be between 0 and", "got -1"),
        account("Less than a micro-dollar", 400, 'POST /v1/agents {"name": "a", "budget": '
                '0.0000001}', "`budget` has more than six decimal places", "round it"),
        account("A misspelled key", 400, 'POST /v1/agents {"name": "a", "limit": 1}',
                "`limit` is not known here", "known: budget, name"),
        account("An unknown account", 404, "GET /v1/agents/agt_none", "There is no "
                "account 'agt_none'", "not_found"),
        account("An unknown status", 400, 'PATCH /v1/agents/{id} {"status": "paused"}',
                "`status` must be active or disabled", "got 'paused'"),
        account("Nothing to change", 400, "PATCH /v1/agents/{id} {}", "Nothing to change",
                "send `budget`, `status`, or both"),
        account("A limit below what is spent", 409, 'PATCH /v1/agents/{spent} {"budget": 0}',
                "budget_below_spent", "are spent and", "spent_usd", "reserved_usd"),
        account("A transfer to the same agent", 400,
                'POST /v1/transfers {"from": "{id}", "to": "{id}", "amount": 1}',
                "`from` and `to` must be the ids of two different accounts"),
        account("A transfer of more than remains", 409,
                'POST /v1/transfers {"from": "{id}", "to": "{spent}", "amount": 9}',
                "insufficient_funds", "less than 9.000000", "remaining_usd"),
        account("An invalid page size", 400, "GET /v1/agents/{id}/transactions?limit=0",
                "`limit` must be a whole number from 1 to 1000", "got '0'"),
        account("An unknown path", 404, "GET /v1/agent", "GET /v1/agent", "/openapi.json lists"),
        account("An unsupported method", 405, "DELETE /v1/agents/{id}", "takes GET, HEAD, PATCH"),
        account("An unknown model", 404, "GET /v1/models/house-9", "'house-9' has no price",
                "[models."),
    ],
)  # fmt: skip

SECTIONS = [CALLS, ACCOUNTS]
