"""The tool of `one_refund.yaml`: a refund that takes a while after it was paid, so that a crash can
come in between."""

import time
from pathlib import Path
from typing import Literal

BOOK = Path(__file__).parents[2] / ".data" / "refunds.csv"
"""Has a line for each refund: the key of the call, the order, USD."""
SECONDS = 4.0
PAID_USD = {"A-17": 40, "A-18": 25}


def refund(order: Literal["A-17", "A-18"], share: Literal["half", "full"], key: str) -> str:
    """Pay money back to the customer of an order.

    order: The number of the order.
    share: How much of what was paid.
    key: Of the call. The model does not see it.
    """
    usd = PAID_USD[order] / (2 if share == "half" else 1)
    BOOK.parent.mkdir(exist_ok=True)
    with BOOK.open("a", encoding="utf-8") as book:
        book.write(f"{key},{order},{usd:.2f}\n")
    time.sleep(SECONDS)
    return f"{order}: {usd:.2f} USD were paid back"
