"""LiteLLM's proxy: virtual keys with `max_budget` (https://docs.litellm.ai/docs/proxy/virtual_keys)."""

from decimal import Decimal
from urllib.parse import quote

from conformance.adapters.adapter import Account, Admin, Books, Need


class LiteLlm:
    """Accounts by `POST /key/generate`, with the master key as admin key.

    Spend is written to the database in batches (`proxy_batch_write_at`, 10 s by default).
    """

    offers = frozenset({Need.BOOKS, Need.DISABLE})
    books_delay = 12.0

    def __init__(self, admin: Admin) -> None:
        self._admin = admin

    async def open(self, budget: Decimal) -> Account:
        made = await self._admin.ask("POST", "/key/generate", {"max_budget": float(budget)})
        return Account(made["key"], made["key"], budget)

    async def open_to_exhaust(self, budget: Decimal, most: Decimal) -> Account:
        return await self.open(budget)

    async def books(self, account: Account) -> Books:
        seen = await self._admin.ask("GET", f"/key/info?key={quote(account.id)}")
        return Books(Decimal(seen["info"]["spend"]))

    async def disable(self, account: Account) -> None:
        await self._admin.ask("POST", "/key/block", {"key": account.id})
