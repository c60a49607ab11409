"""Any gateway: keys that a person has made, with budgets that are known."""

from collections.abc import Sequence
from decimal import Decimal

from conformance.adapters.adapter import Account, Books, Need, NoSuchAccount


class ReadyKeys:
    """The key with the largest budget is for every check that needs money. The budget of each other
    key is exhausted by one check, from the smallest on."""

    offers: frozenset[Need] = frozenset()
    books_delay = 0.0

    def __init__(self, keys: Sequence[tuple[str, Decimal]]) -> None:
        ordered = sorted(keys, key=lambda each: each[1])
        accounts = [Account(f"key {i}", *each) for i, each in enumerate(ordered, start=1)]
        *self._small, self._large = accounts

    async def open(self, budget: Decimal) -> Account:
        return self._large

    async def open_to_exhaust(self, budget: Decimal, most: Decimal) -> Account:
        if not self._small:
            raise NoSuchAccount("needs one more --key, whose budget will be exhausted")
        if self._small[0].budget > most:
            raise NoSuchAccount(f"the smallest budget is more than {most} USD: too many calls")
        return self._small.pop(0)

    async def books(self, account: Account) -> Books:
        raise NotImplementedError("ready keys have no books; `offers` says so")

    async def disable(self, account: Account) -> None:
        raise NotImplementedError("ready keys cannot be disabled; `offers` says so")
