// What to run of the files and folders that are selected in the explorer.

import type { RunArgument } from "../protocol";

export interface Place {
  /** Without a "/" at its end. */
  readonly uri: string;
  readonly isFolder: boolean;
}

/**
 * Returns what runs all tests of *places*, each test once: the files of one folder together, as one
 * run, and each folder by itself, as it may be a project of its own.
 */
export function requestsFor(places: readonly Place[]): RunArgument[] {
  const folders = places.filter(({ isFolder }) => isFolder).map(({ uri }) => uri);
  const isElsewhere = (uri: string) => !folders.some((folder) => uri.startsWith(`${folder}/`));
  const files = new Map<string, string[]>();
  for (const { uri, isFolder } of places) {
    if (!isFolder && uri.endsWith(".py") && isElsewhere(uri)) {
      const end = uri.lastIndexOf("/");
      const around = uri.slice(0, end);
      files.set(around, [...(files.get(around) ?? []), uri.slice(end + 1)]);
    }
  }
  return [
    ...folders.filter(isElsewhere).map((uri) => ({ uri })),
    ...[...files].map(([around, names]) =>
      names.length === 1
        ? { uri: `${around}/${names[0]}` }
        : { uri: around, tests: names.map(decodeURIComponent) },
    ),
  ];
}
