import pytest
from shop.sessions import close_session, open_session


@pytest.mark.limit_leaks("1 MB")
def test_sessions_are_forgotten():
    for _ in range(8):
        close_session(open_session("ada"))


@pytest.mark.limit_leaks("1 MB")
def test_a_session_knows_its_customer():
    assert open_session("grace").customer == "grace"
