"""What the markers are called and what `pytest --markers` says of them."""

from __future__ import annotations

#: What `pytest --markers` shows.
DESCRIPTIONS = {
    "limit_memory": (
        "limit_memory(memory_limit, *, current_thread_only=False): fail the test when its peak"
        " memory is at or above memory_limit, such as '24 MB'."
    ),
    "limit_leaks": (
        "limit_leaks(location_limit, *, filter_fn=None, current_thread_only=False, warmups=0): fail"
        " the test when any one call stack leaves location_limit or more memory, such as '1 MB',"
        " behind when the test returns; filter_fn(stack) may ignore stacks by returning a false"
        " value; warmups is how often the test runs unmeasured first."
    ),
    "limit_leaked_objects": (
        "limit_leaked_objects(*, filter_fn=None): fail the test when Python objects that it made"
        " are alive after it; filter_fn(object) may ignore objects by returning a false value."
        " Needs CPython 3.13.3 or newer."
    ),
}
