// How pytest-memlens gets into an environment: the choice, as a pure function of what is known.

export const PACKAGE = "pytest-memlens";

export interface Installer {
  readonly program: string;
  readonly arguments: readonly string[];
}

/**
 * The command that installs the plugin for *python*; undefined if neither pip nor uv is there.
 * uv makes environments without pip in them, so it is asked where pip is missing.
 */
export function chooseInstaller(
  python: string,
  has: { readonly pip: boolean; readonly uv: boolean },
): Installer | undefined {
  if (has.pip) {
    return { program: python, arguments: ["-m", "pip", "install", PACKAGE] };
  }
  if (has.uv) {
    return { program: "uv", arguments: ["pip", "install", "--python", python, PACKAGE] };
  }
  return undefined;
}
