"""This project's gateway, and whichever speaks ATXP's account API."""

from decimal import Decimal

from conformance.adapters.adapter import Account, Admin, Books, Need


class OurGateway:
    """Accounts by `POST /v1/agents`, with the parent key as admin key."""

    offers = frozenset({Need.BOOKS, Need.DISABLE})
    books_delay = 0.0

    def __init__(self, admin: Admin) -> None:
        self._admin = admin

    async def open(self, budget: Decimal) -> Account:
        wanted = {"name": "conformance", "budget": str(budget)}
        made = await self._admin.ask("POST", "/v1/agents", wanted)
        return Account(made["id"], made["api_key"], budget)

    async def open_to_exhaust(self, budget: Decimal, most: Decimal) -> Account:
        return await self.open(budget)

    async def books(self, account: Account) -> Books:
        seen = await self._admin.ask("GET", f"/v1/agents/{account.id}")
        possibly = Decimal(seen.get("possibly_billed") or 0)
        return Books(Decimal(seen["spent"]), Decimal(seen["reserved"]), possibly)

    async def disable(self, account: Account) -> None:
        await self._admin.ask("PATCH", f"/v1/agents/{account.id}", {"status": "disabled"})
