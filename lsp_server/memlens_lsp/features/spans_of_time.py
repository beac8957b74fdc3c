"""How long ago something was, in words."""

from __future__ import annotations

from datetime import datetime, timezone

#: From how many seconds on a unit is used, and how many seconds it has.
_UNITS = (
    (2 * 86_400, 86_400, "day"),
    (3_600, 3_600, "hour"),
    (60, 60, "minute"),
)
#: Days after which the date says more.
_MOST_DAYS = 60


def ago(time: str, now: datetime) -> str:
    """Return when *time*, as the database writes it, was: ``3 days ago``, ``on 2024-05-31``.

    What is in the future, or no time, was "at an unknown time": clocks differ and are wrong.
    """
    try:
        then = datetime.fromisoformat(time)
    except ValueError:
        return "at an unknown time"
    if then.tzinfo is None:
        then = then.replace(tzinfo=timezone.utc)
    seconds = (now - then).total_seconds()
    if seconds < -60:
        return "at an unknown time"
    if seconds >= _MOST_DAYS * 86_400:
        return f"on {then.date().isoformat()}"
    for least, size, unit in _UNITS:
        if seconds >= least:
            number = int(seconds // size)
            return f"{number} {unit}{'' if number == 1 else 's'} ago"
    return "just now"
