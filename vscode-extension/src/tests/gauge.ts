// A test's peak against its limit, as an icon: the one thing of a row that no narrow side bar cuts off.

/** An icon's pixels, in both directions. */
const SIZE = 16;
const LEFT = 4;
const WIDTH = 8;
const TOP = 1;
const HEIGHT = 14;
/** So many fill levels are told apart: one a pixel. */
const LEVELS = HEIGHT;

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
 * Returns a gauge as an SVG image: a frame as high as the limit, filled as far as the peak. Over its limit a test
 * spills over the frame, which is the lower then.
 *
 * @param share the peak as a share of the limit, from 0
 */
export function gauge(share: number, kind: Kind, theme: "light" | "dark"): string {
  const colours = theme === "light" ? LIGHT : DARK;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${SIZE}" height="${SIZE}" viewBox="0 0 ${SIZE} ${SIZE}">`,
    ...(kind === "over" ? over(share, colours) : within(share, colours, kind)),
    "</svg>",
  ].join("");
}

/** Returns which of few levels a share of the limit is: gauges of the same level look the same. */
export function level(share: number, kind: Kind): number {
  if (kind === "over") {
    const limit = Math.round(LEVELS / Math.max(share, 1));
    // Something is in the frame, and something over it.
    return Math.min(Math.max(limit, 2), LEVELS - 3);
  }
  return share > 0 ? Math.min(Math.max(Math.round(share * LEVELS), 1), LEVELS) : 0;
}

function within(share: number, colours: Colours, kind: "within" | "near"): string[] {
  const filled = level(share, kind);
  return [
    rectangle(TOP + HEIGHT - filled, filled, colours[kind]),
    frame(HEIGHT, colours),
    // Near the limit, also for those who do not see the colour.
    ...(kind === "near" ? [rectangle(TOP - 1, 1, colours.frame, 3)] : []),
  ];
}

function over(share: number, colours: Colours): string[] {
  const limit = level(share, "over");
  return [
    rectangle(TOP + HEIGHT - limit, limit, colours.over),
    rectangle(TOP - 1, HEIGHT - limit - 1, colours.over, 3),
    frame(limit, colours),
  ];
}

/** A frame as high as the limit. */
function frame(limit: number, colours: Colours): string {
  return `<rect x="${LEFT - 0.5}" y="${TOP + HEIGHT - limit - 0.5}" width="${WIDTH + 1}" height="${limit + 1}" rx="1" fill="none" stroke="${colours.frame}"/>`;
}

/** A part of the gauge, wider by so many pixels on both sides. */
function rectangle(y: number, height: number, colour: string, wider = 0): string {
  return `<rect x="${LEFT - wider}" y="${y}" width="${WIDTH + 2 * wider}" height="${height}" fill="${colour}"/>`;
}
