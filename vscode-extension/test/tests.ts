// Makes tests as the server tells of them.

import type { Test } from "../src/protocol";

export const MIB = 1024 ** 2;

/** A test by its node id, "tests/test_a.py::test_b"; what is not given is as for a first, good run. */
export function measured(id: string, given: Partial<Test> = {}): Test {
  const [path = "", ...names] = id.split("::");
  return {
    uri: `file:///shop/${path}`,
    test: names.join("::"),
    id,
    line: 0,
    outcome: "passed",
    peakBytes: MIB,
    previousPeakBytes: null,
    limitBytes: null,
    verdict: null,
    exceeded: [],
    leakedBytes: null,
    ...given,
  };
}

/** A test that is over its limit of 24 MiB. */
export function over(id: string, given: Partial<Test> = {}): Test {
  return measured(id, {
    outcome: "failed",
    peakBytes: 30 * MIB,
    limitBytes: 24 * MIB,
    verdict: "exceeded",
    exceeded: ["limit_memory"],
    ...given,
  });
}

/** A test that leaks. */
export function leaking(id: string, given: Partial<Test> = {}): Test {
  return measured(id, {
    outcome: "failed",
    verdict: "exceeded",
    exceeded: ["limit_leaks"],
    leakedBytes: 4 * MIB,
    ...given,
  });
}
