"""The `github-benchmark` report: peaks for github-action-benchmark.

A list for its tool ``customSmallerIsBetter``
(https://github.com/benchmark-action/github-action-benchmark#tool-required).
"""

from __future__ import annotations

import json

from memlens.exports.results import Results


def benchmark(results: Results) -> str:
    """Return the peak of each test, in bytes; what was not measured is left out."""
    return (
        json.dumps(
            [
                {
                    "name": test.nodeid,
                    "unit": "bytes",
                    "value": call.peak_bytes,
                    "extra": "\n".join(
                        [f"outcome: {test.outcome}", *(check.message for check in test.checks)]
                    ),
                }
                for test in results.tests
                if (call := test.phase("call")) is not None
            ],
            indent=1,
        )
        + "\n"
    )
