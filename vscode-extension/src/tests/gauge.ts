// A test's peak against its limit, as an icon: the one thing of a row that no narrow side bar cuts off.

/** An icon's pixels, in both directions. */
const SIZE = 16;
const LEFT = 4;
const WIDTH = 8;
const TOP = 1;
const HEIGHT = 14;

export type Kind = "within" | "near" | "over";

interface Colours {
  readonly frame: string;
  readonly within: string;
  readonly near: string;
  readonly over: string;
}

// VS Code's own for passed and failed tests and for warnings, which an image cannot ask for.
const LIGHT: Colours = { frame: "#616161", within: "#388a34", near: "#b27c00", over: "#d1242f" };
const DARK: Colours = { frame: "#9d9d9d", within: "#73c991", near: "#cca700", over: "#f14c4c" };

/**
 * Returns a gauge as an SVG image: a frame as high as the limit, filled as far as the peak. What is over its limit
 * fills it all, and has an exclamation mark for those who do not see the colour.
 *
 * @param share the peak as a share of the limit, from 0
 */
export function gauge(share: number, kind: Kind, theme: "light" | "dark"): string {
  const colours = theme === "light" ? LIGHT : DARK;
  const filled = level(share, kind);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${SIZE}" height="${SIZE}" viewBox="0 0 ${SIZE} ${SIZE}">`,
    `<rect x="${LEFT}" y="${TOP + HEIGHT - filled}" width="${WIDTH}" height="${filled}" fill="${colours[kind]}"/>`,
    `<rect x="${LEFT - 0.5}" y="${TOP - 0.5}" width="${WIDTH + 1}" height="${HEIGHT + 1}" rx="1" fill="none" stroke="${kind === "over" ? colours.over : colours.frame}"/>`,
    ...(kind === "over" ? ['<path d="M8 3.5v6M8 11v2" stroke="#fff" stroke-width="2"/>'] : []),
    "</svg>",
  ].join("");
}

/** Returns how far a gauge is filled, in pixels: those of the same level look the same. */
export function level(share: number, kind: Kind): number {
  if (kind === "over") {
    return HEIGHT;
  }
  return share > 0 ? Math.min(Math.max(Math.round(share * HEIGHT), 1), HEIGHT) : 0;
}
