"""The tools of `back_office.yaml`: an order is looked up, and a refund is paid.

A model sees the name of a function, its docstring and its parameters. Replace the bodies by calls
of your own shop.
"""

from pathlib import Path
from typing import Literal

PAID_USD = {"A-17": 40, "A-18": 25}
REFUNDS = Path(__file__).with_name("refunds.csv")
"""Has a line for each refund that was paid, so that you can see that it was paid once."""

Order = Literal["A-17", "A-18"]


def look_up(order: Order) -> str:
    """Say what was paid for an order.

    order: The number of the order, as in the customer's letter.
    """
    return f"{order}: {PAID_USD[order]} USD were paid"


def refund(order: Order, share: Literal["half", "full"]) -> str:
    """Pay money back to the customer of an order.

    order: The number of the order.
    share: How much of what was paid.
    """
    usd = PAID_USD[order] / (2 if share == "half" else 1)
    with REFUNDS.open("a", encoding="utf-8") as book:
        book.write(f"{order},{usd:.2f}\n")
    return f"{order}: {usd:.2f} USD were paid back"
