// Numbers as people read them. Sizes are worded as `memlens.sizes.format_size` words them.

const STEP = 1024;
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const COUNT = new Intl.NumberFormat("en-GB");

/** Returns a size in bytes as text: "512 B", "31.2 MiB". */
export function formatSize(bytes: number): string {
  if (Math.abs(bytes) < STEP) {
    return `${bytes} B`;
  }
  let exponent = 1;
  // 1023.95 and more would be shown as 1024.0: that is 1.0 of the next unit.
  while (Math.abs(bytes) >= (STEP - 0.05) * STEP ** exponent && exponent < UNITS.length - 1) {
    exponent += 1;
  }
  return `${(bytes / STEP ** exponent).toFixed(1)} ${UNITS[exponent]}`;
}

/** Returns a number of things as text: "12,345". */
export function formatCount(count: number): string {
  return COUNT.format(count);
}

/** Returns a share of 1 as text: "87 %", "<1 %". Never "100 %" of what is more or less than all. */
export function formatShare(share: number): string {
  const percent = share * 100;
  if (percent > 0 && percent < 1) {
    return "<1 %";
  }
  const rounded = roundToEven(percent);
  const isAll = rounded === 100;
  return `${COUNT.format(isAll ? rounded + Math.sign(percent - 100) : rounded)} %`;
}

/** Rounds as Python does, and so the terminal: of two whole numbers as near, to the even one. */
function roundToEven(value: number): number {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}

/** Returns seconds as text: "0.4 ms", "35 ms", "1.25 s", "2 min 5 s". */
export function formatDuration(seconds: number): string {
  if (seconds < 0.0095) {
    return `${(seconds * 1000).toFixed(1)} ms`;
  }
  if (seconds < 0.9995) {
    return `${(seconds * 1000).toFixed(0)} ms`;
  }
  if (seconds < 59.995) {
    return `${seconds.toFixed(2)} s`;
  }
  const whole = Math.round(seconds);
  return `${COUNT.format(Math.floor(whole / 60))} min ${whole % 60} s`;
}

/** Returns "1 test" or "2 tests": *count* and the word in the number that it needs. */
export function counted(count: number, word: string): string {
  return `${formatCount(count)} ${word}${count === 1 ? "" : "s"}`;
}

/** Returns a UTC time in ISO 8601 to the minute: "2026-11-23 04:19 UTC"; other text as it is. */
export function formatTime(time: string): string {
  const parts = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d)/.exec(time);
  return parts ? `${parts[1]} ${parts[2]} UTC` : time;
}
