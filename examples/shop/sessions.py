"""Customers' sessions."""

from dataclasses import dataclass

#: Sessions by customer, so that a second tab finds the first one's cart.
_open_sessions: dict[str, list["Session"]] = {}


@dataclass
class Session:
    """What the shop remembers while a customer looks around."""

    customer: str
    #: Pages seen, kept to go back quickly.
    page_cache: bytearray


def open_session(customer: str) -> Session:
    """Start a session for *customer*."""
    session = Session(customer, page_cache=bytearray(512 * 1024))
    _open_sessions.setdefault(customer, []).append(session)
    return session


def close_session(session: Session) -> None:
    """End *session*."""
    # Forgets to take it out of _open_sessions: that is the leak.
    session.customer = ""
