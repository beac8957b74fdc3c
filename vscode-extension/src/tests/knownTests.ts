// The tests of the workspace as the server tells of them, page by page and then only what is new.

import type { Page, ProjectTests, Test } from "../protocol";

export interface KnownProject {
  readonly uri: string;
  readonly name: string;
  /** Why its results cannot be read; null if they can. */
  readonly problem: string | null;
  readonly tests: readonly Test[];
}

interface Project extends Omit<KnownProject, "tests"> {
  name: string;
  problem: string | null;
  readonly tests: Map<string, Test>;
}

export interface TestsRequest {
  readonly limit: number;
  readonly next?: string;
  readonly since?: string;
}

/** As many as one answer may have. */
const PAGE = 5000;

export class KnownTests {
  private readonly byUri = new Map<string, Project>();
  // What the server has told until now; undefined before its first answer.
  private state: string | undefined;

  /** Asks for what is new, all pages of it. Whoever awaits it sees the whole. */
  async update(ask: (request: TestsRequest) => Promise<Page>): Promise<void> {
    let page = await ask(
      this.state === undefined ? { limit: PAGE } : { limit: PAGE, since: this.state },
    );
    const told = new Set(page.projects.map(({ uri }) => uri));
    for (const uri of this.byUri.keys()) {
      if (!told.has(uri)) {
        this.byUri.delete(uri);
      }
    }
    this.take(page.projects);
    while (page.next !== null) {
      page = await ask({ limit: PAGE, next: page.next });
      this.take(page.projects);
    }
    this.state = page.state;
  }

  /** Forgets everything: the next update asks for all. */
  clear(): void {
    this.byUri.clear();
    this.state = undefined;
  }

  get projects(): KnownProject[] {
    return [...this.byUri.values()].map((project) => ({
      ...project,
      tests: [...project.tests.values()],
    }));
  }

  get tests(): Test[] {
    return [...this.byUri.values()].flatMap(({ tests }) => [...tests.values()]);
  }

  private take(projects: readonly ProjectTests[]): void {
    for (const { uri, name, replaces, tests, problem } of projects) {
      let known = this.byUri.get(uri);
      if (known === undefined) {
        known = { uri, name, problem, tests: new Map() };
        this.byUri.set(uri, known);
      }
      known.name = name;
      known.problem = problem;
      if (replaces) {
        known.tests.clear();
      }
      for (const test of tests) {
        known.tests.set(test.id, test);
      }
    }
  }
}
