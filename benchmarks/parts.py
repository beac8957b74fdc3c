"""Where memlens' time goes: what memray alone takes, and each part of memlens.

    python benchmarks/parts.py [SCENARIO…]

What is left of the difference to plain pytest is memray's following of calls, where that is not
seen in the tracker alone, and our hooks. Timing the parts takes time too.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from contenders import MEMLENS, NONE, Runner
from environments import BenchmarkError, prepare
from scenarios import SCENARIOS

_DEFAULT = ("light-scientific", "limit-memory", "million", "leaks")
_PLUGINS = Path(__file__).with_name("plugins")
_ROUNDS = 3


def main(names: Sequence[str]) -> int:
    """Print a list of parts for each scenario."""
    unknown = [name for name in names if name not in SCENARIOS]
    if unknown:
        print(f"no scenario {', '.join(unknown)}; there are {', '.join(SCENARIOS)}")
        return 2
    try:
        environment = prepare()
        with tempfile.TemporaryDirectory(prefix="memlens-benchmark-") as scratch:
            runner = Runner(environment, Path(scratch).resolve(), extra=_PLUGINS)
            for name in names or _DEFAULT:
                _show(runner, name)
    except BenchmarkError as error:
        print(f"{error}\nThe benchmark cannot go on.")
        return 1
    return 0


def _show(runner: Runner, name: str) -> None:
    scenario = SCENARIOS[name]
    none, alone, ours = [], [], []
    parts: list[dict[str, float]] = []
    for _ in range(_ROUNDS):
        none.append(runner.sample(scenario, NONE).sample.wall_seconds)
        with runner.run(scenario, NONE, "-p", "tracker_alone") as finished:
            alone.append(finished.sample.wall_seconds)
        ours.append(runner.sample(scenario, MEMLENS).sample.wall_seconds)
        with runner.run(scenario, MEMLENS, "-p", "timed_parts") as finished:
            parts.append(json.loads((finished.folder / "parts.json").read_text(encoding="utf-8")))
    plain = statistics.median(none)
    print(f"{name}: {scenario.summary}; milliseconds over plain pytest's {plain * 1000:.0f}")
    print(f"  {'all of memlens':32}{(statistics.median(ours) - plain) * 1000:9.1f}")
    print(f"  {'one tracker, never read':32}{(statistics.median(alone) - plain) * 1000:9.1f}")
    for part in parts[0]:
        print(f"    {part:30}{statistics.median(each[part] for each in parts) * 1000:9.1f}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
