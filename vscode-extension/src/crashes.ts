// When a server that ended is worth another start.

/** So many ends within that time are a loop, which another start would only go on with. */
export const MOST_CRASHES = 4;
const WITHIN_MS = 3 * 60 * 1000;

export class Crashes {
  private readonly times: number[] = [];

  /** Notes an end at a time, in milliseconds. Returns whether the server should be started again. */
  shouldRestart(now: number): boolean {
    this.times.push(now);
    const recent = this.times.filter((time) => now - time <= WITHIN_MS);
    return recent.length < MOST_CRASHES;
  }
}
