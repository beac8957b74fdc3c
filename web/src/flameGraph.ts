// A flame graph of call stacks: the test on top, what it called below, width by bytes.

import flamegraph, { type LaidOut } from "d3-flame-graph";
import { select } from "d3-selection";

import { element } from "./dom";
import { originOf, placeOf } from "./frames";
import type { Frame, Stack } from "./report";
import { depthOf, type FlameNode, flameTree } from "./tree";
import { counted, formatShare, formatSize } from "./units";

export interface FlameGraphOptions {
  /** What the graph is of, for those who do not see it: "Memory at the peak of test_total". */
  readonly label: string;
  /** What is on top: "All 24.2 MiB". */
  readonly root: string;
  /** What all stacks held in bytes, the small ones that are not kept included. */
  readonly total?: number;
  /** Called with each frame that is chosen, to open its file, say. */
  readonly onChoose?: (frame: Frame) => void;
}

type Node = LaidOut<FlameNode>;

const CELL_HEIGHT_PX = 22;
/** A narrower frame is not drawn. */
const NARROWEST_PX = 0.5;
const ZOOM_MS = 200;
/** How many shades each kind of code has, so that neighbours can be told apart. */
const SHADES = 4;

/** Shows the flame graph of *stacks* in *host*. Returns what removes it. */
export function showFlameGraph(
  host: HTMLElement,
  stacks: readonly Stack[],
  options: FlameGraphOptions,
): () => void {
  const withNative = stacks.some((stack) => stack.frames.some((frame) => frame.native));
  const search = element("input", {
    type: "search",
    placeholder: "Find a function or file",
    "aria-label": "Find a function or file in the flame graph",
  });
  const found = element("output", { class: "flame-found" });
  const native = element("input", { type: "checkbox" });
  native.checked = true;
  const reset = element("button", { type: "button" }, "Reset zoom");
  const chosen = element("p", { class: "flame-chosen", "aria-live": "polite" });
  const canvas = element("div", {
    class: "flame-canvas",
    tabindex: "0",
    role: "application",
    "aria-roledescription": "flame graph",
    "aria-label": `${options.label}. Arrow keys go to callers, callees and neighbours; Enter zooms in, Escape out.`,
  });
  const tools = element("div", { class: "flame-tools" }, search, found);
  if (withNative) {
    tools.append(element("label", { class: "check" }, native, "Native frames"));
  }
  tools.append(reset);
  host.replaceChildren(tools, canvas, chosen, legend(withNative));

  let graph = draw();

  function draw(): Graph {
    const tree = flameTree(stacks, {
      name: options.root,
      native: native.checked,
      ...(options.total === undefined ? {} : { total: options.total }),
    });
    const made = new Graph(canvas, tree, {
      describe: (node) => chosen.replaceChildren(...description(node, tree)),
      zoomed: (zoomed) => {
        reset.disabled = !zoomed;
      },
      found: (nodes) => {
        found.value = foundText(nodes, tree);
      },
      ...(options.onChoose === undefined ? {} : { chosen: options.onChoose }),
    });
    made.search(search.value);
    return made;
  }

  native.addEventListener("change", () => {
    graph.remove();
    graph = draw();
  });
  search.addEventListener("input", () => graph.search(search.value));
  reset.addEventListener("click", () => graph.resetZoom());
  const onKey = (event: KeyboardEvent) => {
    if (graph.press(event.key)) {
      event.preventDefault();
      event.stopPropagation();
    }
  };
  canvas.addEventListener("keydown", onKey);
  const resized = new ResizeObserver(() => graph.resize());
  resized.observe(canvas);

  return () => {
    resized.disconnect();
    canvas.removeEventListener("keydown", onKey);
    graph.remove();
    host.replaceChildren();
  };
}

interface Listener {
  describe(node: Node): void;
  zoomed(zoomed: boolean): void;
  found(nodes: Node[] | null): void;
  chosen?(frame: Frame): void;
}

/** d3-flame-graph with a frame that the keyboard moves. */
class Graph {
  private readonly chart = flamegraph<FlameNode>();
  private readonly root: Node;
  private current: Node;
  private zoom: Node;
  private width: number;
  private readonly height: number;

  constructor(
    private readonly canvas: HTMLElement,
    tree: FlameNode,
    private readonly listener: Listener,
  ) {
    this.width = canvas.clientWidth;
    this.height = depthOf(tree) * CELL_HEIGHT_PX;
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.chart
      .inverted(true)
      .width(this.width)
      .cellHeight(CELL_HEIGHT_PX)
      .height(this.height)
      .minFrameSize(NARROWEST_PX)
      .transitionDuration(calm ? 0 : ZOOM_MS)
      .label(({ data }) => tooltip(data))
      .setColorMapper(({ data, highlight }) => colour(data, highlight === true))
      .setSearchMatch(({ data }, term) => matches(data, term))
      .setSearchHandler((nodes) => this.listener.found(nodes))
      .onHover((node) => this.listener.describe(node))
      .setDetailsHandler((label) => {
        // Also called with what the pointer is on, which onHover has shown; null when it left.
        if (label === null) {
          this.listener.describe(this.current);
        }
      })
      .onClick((node) => this.clicked(node));
    const selection = select<HTMLElement, FlameNode>(canvas).datum(tree);
    this.chart(selection);
    this.root = select<HTMLElement, Node>(canvas).datum();
    this.current = this.root;
    this.zoom = this.root;
    this.scale();
    this.choose(this.root);
    this.listener.zoomed(false);
  }

  search(term: string): void {
    if (term.trim() === "") {
      this.chart.clear();
      this.listener.found(null);
    } else {
      this.chart.search(term.trim());
    }
  }

  resetZoom(): void {
    this.chart.zoomTo(this.root);
  }

  resize(): void {
    const width = this.canvas.clientWidth;
    if (width > 0 && width !== this.width) {
      this.width = width;
      this.chart.width(width).update();
      this.scale();
      this.mark();
    }
  }

  /** Lets paper of another width scale what is drawn. */
  private scale(): void {
    select(this.canvas).select("svg").attr("viewBox", `0 0 ${this.width} ${this.height}`);
  }

  remove(): void {
    this.chart.destroy();
  }

  /** Does what *key* asks for. Returns false if that is nothing. */
  press(key: string): boolean {
    switch (key) {
      case "ArrowDown":
        return this.choose(this.drawnChildren(this.current)[0]);
      case "ArrowUp":
        return this.choose(this.current.parent);
      case "ArrowRight":
        return this.choose(this.neighbour(1));
      case "ArrowLeft":
        return this.choose(this.neighbour(-1));
      case "Home":
        return this.choose(this.root);
      case "Enter":
      case " ":
        this.chart.zoomTo(this.current);
        return true;
      case "Escape":
        if (this.zoom === this.root) {
          return false;
        }
        this.resetZoom();
        return true;
      default:
        return false;
    }
  }

  private clicked(node: Node): void {
    this.zoom = node;
    this.listener.zoomed(node !== this.root);
    this.choose(node);
    if (node.data.frame !== null) {
      this.listener.chosen?.(node.data.frame);
    }
  }

  private choose(node: Node | null | undefined): boolean {
    if (node) {
      this.current = node;
      this.mark();
      this.listener.describe(node);
    }
    return true;
  }

  private mark(): void {
    const frames = select(this.canvas).selectAll<SVGGElement, Node>("g.frame");
    frames.attr("data-origin", ({ data }) => data.frame && originOf(data.frame));
    frames.attr("data-current", (node) => (node === this.current ? "" : null));
    const drawn = frames.filter((node) => node === this.current).node();
    if (drawn !== null && document.activeElement === this.canvas) {
      drawn.scrollIntoView({ block: "nearest" });
    }
  }

  private drawnChildren(node: Node): Node[] {
    const scale = this.width / (this.root.x1 - this.root.x0);
    return (node.children ?? []).filter(({ x0, x1 }) => (x1 - x0) * scale > NARROWEST_PX);
  }

  /** The frame beside the current one, of whatever caller. */
  private neighbour(step: 1 | -1): Node | undefined {
    let level = [this.root];
    for (let depth = 0; depth < this.current.depth; depth += 1) {
      level = level.flatMap((node) => this.drawnChildren(node));
    }
    return level[level.indexOf(this.current) + step];
  }
}

function matches(node: FlameNode, term: string): boolean {
  const wanted = term.toLowerCase();
  return [node.name, node.frame?.path ?? ""].some((text) => text.toLowerCase().includes(wanted));
}

function tooltip({ name, frame, value }: FlameNode): string {
  return [name, ...(frame === null ? [] : [placeOf(frame)]), formatSize(value)].join("\n");
}

function colour({ name, frame }: FlameNode, highlighted: boolean): string {
  if (highlighted) {
    return "var(--flame-found)";
  }
  if (frame === null) {
    return "var(--flame-root)";
  }
  let hash = 0;
  for (const character of name) {
    hash = (hash * 31 + (character.codePointAt(0) ?? 0)) % 9973;
  }
  return `var(--flame-${originOf(frame)}-${hash % SHADES})`;
}

function description({ data }: Node, tree: FlameNode): HTMLElement[] {
  const allocations = counted(data.allocations, "allocation");
  const name = element("strong", {}, data.name);
  if (data.frame === null) {
    const hint = `${allocations}. Click a frame to zoom in, or use the arrow keys and Enter.`;
    return [name, element("span", {}, hint)];
  }
  const share = tree.value > 0 ? `, ${formatShare(data.value / tree.value)}` : "";
  return [
    name,
    element("code", {}, placeOf(data.frame)),
    element("span", {}, `${formatSize(data.value)}${share}, ${allocations}`),
  ];
}

function foundText(nodes: Node[] | null, tree: FlameNode): string {
  if (nodes === null) {
    return "";
  }
  if (nodes.length === 0) {
    return "nothing found";
  }
  // What is below a match is in it already.
  const outermost = nodes.filter((node) => !hasHighlightedCaller(node));
  const bytes = outermost.reduce((sum, { data }) => sum + data.value, 0);
  const share = tree.value > 0 ? ` (${formatShare(bytes / tree.value)})` : "";
  return `${counted(nodes.length, "frame")}: ${formatSize(bytes)}${share}`;
}

function hasHighlightedCaller({ parent }: Node): boolean {
  return parent !== null && (parent.highlight === true || hasHighlightedCaller(parent));
}

function legend(withNative: boolean): HTMLElement {
  const list = element("ul", { class: "flame-legend", "aria-hidden": "true" });
  const entries = { project: "your code", library: "libraries", native: "native code" };
  for (const [origin, text] of Object.entries(entries)) {
    if (origin !== "native" || withNative) {
      list.append(element("li", { "data-origin": origin }, text));
    }
  }
  return list;
}
