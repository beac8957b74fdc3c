import pytest
from shop.orders import best_sellers, orders_of, yearly_report


@pytest.mark.limit_memory("2 MB")
def test_best_sellers_are_counted_as_they_come():
    assert len(best_sellers(orders_of(range(30), per_day=400))) == 3


@pytest.mark.limit_memory("16 MB")
def test_report_of_a_year():
    assert yearly_report(365, per_day=400)["orders"] == 365 * 400
