import type { Metafile } from "esbuild";

export function buildWebview(folder: string): Promise<Metafile>;
