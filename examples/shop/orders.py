"""Orders and what is counted from them."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Order(NamedTuple):
    """One order."""

    day: int
    product: str
    cents: int


def orders_of(days: Iterable[int], *, per_day: int) -> Iterator[Order]:
    """Yield the orders of these days, as a database would."""
    for day in days:
        for number in range(per_day):
            yield Order(day, f"product-{(day * 31 + number) % 200}", 100 + number % 900)


def best_sellers(orders: Iterable[Order], count: int = 3) -> list[str]:
    """Return the products that were ordered most."""
    ordered = Counter(order.product for order in orders)
    return [product for product, _ in ordered.most_common(count)]


def yearly_report(days: int, *, per_day: int) -> dict[str, object]:
    """Return what the accountant asks for once a year."""
    orders = list(orders_of(range(days), per_day=per_day))
    return {
        "orders": len(orders),
        "cents": sum(order.cents for order in orders),
        "best sellers": best_sellers(orders),
    }
