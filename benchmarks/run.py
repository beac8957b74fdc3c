"""Compares what memlens costs with what pytest-memray costs, on the same tests.

Each scenario is run by three contenders in turn, several rounds: plain pytest, pytest-memray and
memlens, the latter two with --memray. They share one virtual environment, which is made first and
kept in build/benchmarks; that needs downloads.

    python benchmarks/run.py [SCENARIO…] [--rounds N] [--json build/benchmarks.json] [--list]

Exit status 0: everything was measured, whether the budgets are met or not.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import exactness
import storing
from contenders import CONTENDERS, NONE, Finished, Runner
from environments import REPOSITORY, BenchmarkError, prepare
from exactness import Exactness
from report import Result, show, verdict
from scenarios import SCENARIOS, START_UP, Scenario
from storing import Storing

KNOWN = (*SCENARIOS, exactness.NAME, storing.NAME)


def progress(text: str) -> None:
    """Tell whoever waits what is being done."""
    print(text, file=sys.stderr, flush=True)


def measure(runner: Runner, scenario: Scenario, rounds: int) -> Result:
    """Run *scenario*.

    Raises:
        BenchmarkError: a run did not go as it should.
    """
    progress(f"{scenario.name}: {scenario.summary}")
    # Not counted, so that it is not the first contender who waits for the disk.
    tests = runner.sample(scenario, NONE).tests
    finished: dict[str, list[Finished]] = {contender: [] for contender in CONTENDERS}
    for number in range(rounds):
        # Each goes first in its turn, so that none is always the one after the heaviest.
        first = number % len(CONTENDERS)
        for contender in (*CONTENDERS[first:], *CONTENDERS[:first]):
            run = runner.sample(scenario, contender)
            if run.tests != tests:
                raise BenchmarkError(
                    f"{scenario.name}: {run.tests} tests passed with {contender}, and {tests}"
                    " with plain pytest"
                )
            finished[contender].append(run)
            progress(
                f"  round {number + 1} of {rounds}: {run.sample.wall_seconds:8.3f} s  {contender}"
            )
    samples = {contender: [run.sample for run in runs] for contender, runs in finished.items()}
    return Result(scenario, tests, samples)


def warm_up(runner: Runner) -> None:
    """Run each contender once: Python compiles what it imports for the first time."""
    for contender in CONTENDERS:
        runner.sample(replace(START_UP, name="warm-up", measuring=True), contender)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help="default: all")
    parser.add_argument("--rounds", type=int, metavar="N", help="default: each scenario's own")
    parser.add_argument("--json", type=Path, default=REPOSITORY / "build" / "benchmarks.json")
    parser.add_argument("--list", action="store_true", help="list the scenarios")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.scenarios if name not in KNOWN]
    if unknown:
        parser.error(f"no scenario {', '.join(unknown)}; there are {', '.join(KNOWN)}")
    if options.rounds is not None and options.rounds < 1:
        parser.error(f"--rounds: {options.rounds} is not a whole number from 1")
    return options


def list_scenarios() -> None:
    """Print what can be asked for."""
    for name, scenario in SCENARIOS.items():
        rounds = "1 round" if scenario.rounds == 1 else f"{scenario.rounds} rounds"
        budget = f", budget {scenario.budget}" if scenario.budget else ""
        print(f"{name:25}{scenario.summary} ({rounds}{budget})")
    print(f"{exactness.NAME:25}{exactness.SUMMARY} (budget ≥ {exactness.BUDGET:.0%})")
    print(
        f"{storing.NAME:25}{storing.SUMMARY} ({storing.ROUNDS} rounds, budget"
        f" ≤ {storing.SECONDS * 1000:.1f} ms and ≤ {storing.BYTES:,} bytes a test)"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks that the command line names."""
    options = parse(arguments)
    if options.list:
        list_scenarios()
        return 0
    options.json.parent.mkdir(parents=True, exist_ok=True)  # rather now than after an hour
    # Whoever ends us by kill wants what Ctrl-C does: every process ended, every file gone.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    results: list[Result] = []
    exact: Exactness | None = None
    stored: Storing | None = None
    try:
        environment = prepare()
        facts = {
            "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "command_line": sys.argv if arguments is None else list(arguments),
            **environment.facts(),
        }
        with tempfile.TemporaryDirectory(prefix="memlens-benchmark-") as scratch:
            runner = Runner(environment, Path(scratch).resolve())
            warm_up(runner)
            for name in dict.fromkeys(options.scenarios or KNOWN):
                if name == exactness.NAME:
                    exact = exactness.measure(runner, progress)
                    continue
                if name == storing.NAME:
                    stored = storing.measure(runner, progress)
                    continue
                scenario = SCENARIOS[name]
                results.append(measure(runner, scenario, options.rounds or scenario.rounds))
                if scenario.budget is not None:
                    progress(f"  within budget {scenario.budget}: {verdict(results[-1].met)}")
    except KeyboardInterrupt:
        progress("Interrupted: nothing was written.")
        return 130
    except BenchmarkError as error:
        progress(f"{error}\nThe benchmark cannot go on.")
        return 1
    scenarios = {result.scenario.name: result.to_dict() for result in results}
    if exact is not None:
        scenarios[exactness.NAME] = exact.to_dict()
    if stored is not None:
        scenarios[storing.NAME] = stored.to_dict()
    text = json.dumps({**facts, "scenarios": scenarios}, indent=2)
    show(results, exact, stored)
    options.json.write_text(f"{text}\n", encoding="utf-8")
    print(f"Written to {options.json}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
