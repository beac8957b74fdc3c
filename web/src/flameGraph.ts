// A flame graph of call stacks: the test on top, what it called below, width by bytes.

import flamegraph, { type LaidOut } from "d3-flame-graph";
import { select } from "d3-selection";

import { changeOf, changeText, largestChange, strengthOf } from "./changes";
import { element } from "./dom";
import { originOf, placeOf } from "./frames";
import { depthOf, type FlameFrame, type FlameNode, type FlameSource } from "./tree";
import { counted, formatShare, formatSize } from "./units";

export interface FlameGraphOptions {
  /** What the graph is of, for those who do not see it: "Memory at the peak of test_total". */
  readonly label: string;
  /**
   * Opens a frame's source by its number, and on being asked for goes there. Without it frames are
   * only zoomed into.
   */
  readonly open?: (frame: number, go: boolean) => void;
  /** How it is looked at to begin with. */
  readonly look?: Look;
  /** Called when it is looked at in another way. */
  readonly onLook?: (look: Look) => void;
}

/** How a flame graph is looked at, which outlives what it shows. */
export interface Look {
  readonly search: string;
  readonly native: boolean;
  /** The calls from the outermost to the one that fills the width. */
  readonly zoom: readonly string[];
}

export interface ShownFlameGraph {
  focus(): void;
  focusSearch(): void;
  /** Takes it off the page. */
  remove(): void;
}

type Node = LaidOut<FlameNode>;

const CELL_HEIGHT_PX = 22;
/** A narrower frame is not drawn. */
const NARROWEST_PX = 0.5;
const ZOOM_MS = 200;
/** What colours mean: of the code that a frame is of, and of its change in a comparison. */
const ORIGINS = { project: "your code", library: "libraries", native: "native code" };
const CHANGES = {
  grown: "holds more (+) or is new",
  shrunk: "holds less (−)",
  same: "as before",
  gone: "gone, as wide as it was",
};
/** How many shades each kind of code has, so that neighbours can be told apart. */
const SHADES = 4;

/** Shows *source* in *host*. */
export function showFlameGraph(
  host: HTMLElement,
  source: FlameSource,
  options: FlameGraphOptions,
): ShownFlameGraph {
  const search = element("input", {
    type: "search",
    placeholder: "Find a function or file",
    "aria-label": "Find a function or file in the flame graph",
  });
  search.value = options.look?.search ?? "";
  const found = element("output", { class: "flame-found" });
  const native = element("input", { type: "checkbox" });
  native.checked = options.look?.native ?? true;
  const reset = element("button", { type: "button" }, "Reset zoom");
  const chosen = element("p", { class: "flame-chosen", "aria-live": "polite" });
  const opening =
    options.open === undefined ? "" : " and opens the source, with Ctrl it goes there";
  const canvas = element("div", {
    class: "flame-canvas",
    tabindex: "0",
    role: "application",
    "aria-roledescription": "flame graph",
    "aria-label": `${options.label}. Arrow keys go to callers, callees and neighbours; Enter zooms in${opening}, Escape out.`,
  });
  const tools = element("div", { class: "flame-tools" }, search, found);
  if (source.hasNative) {
    tools.append(element("label", { class: "check" }, native, "Native frames"));
  }
  tools.append(reset);
  const key = element("ul", { class: "flame-legend", "aria-hidden": "true" });
  host.replaceChildren(tools, canvas, chosen, key);

  let graph = draw(options.look?.zoom ?? []);

  function draw(zoom: readonly string[]): Graph {
    const tree = source.tree(native.checked);
    key.replaceChildren(...legend(tree));
    reset.disabled = true;
    const made = new Graph(canvas, tree, {
      describe: (node) => chosen.replaceChildren(...description(node, tree, options)),
      zoomed: (zoomed) => {
        reset.disabled = !zoomed;
        tellOfLook(made);
      },
      found: (nodes) => {
        found.value = foundText(nodes, tree);
      },
      open: (number, go) => options.open?.(number, go),
    });
    made.search(search.value);
    made.zoomTo(zoom);
    return made;
  }

  function tellOfLook(of: Graph): void {
    options.onLook?.({ search: search.value, native: native.checked, zoom: of.zoomPath() });
  }

  native.addEventListener("change", () => {
    const zoom = graph.zoomPath();
    graph.remove();
    graph = draw(zoom);
    tellOfLook(graph);
  });
  search.addEventListener("input", () => {
    graph.search(search.value);
    tellOfLook(graph);
  });
  reset.addEventListener("click", () => graph.resetZoom());
  const onKey = (event: KeyboardEvent) => {
    if (graph.press(event.key, event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      event.stopPropagation();
    }
  };
  canvas.addEventListener("keydown", onKey);
  const resized = new ResizeObserver(() => graph.resize());
  resized.observe(canvas);

  return {
    focus: () => canvas.focus(),
    focusSearch: () => {
      search.focus();
      search.select();
    },
    remove: () => {
      resized.disconnect();
      canvas.removeEventListener("keydown", onKey);
      graph.remove();
      host.replaceChildren();
    },
  };
}

interface Listener {
  describe(node: Node): void;
  zoomed(zoomed: boolean): void;
  found(nodes: Node[] | null): void;
  open(frame: number, go: boolean): void;
}

/** d3-flame-graph with a frame that the keyboard moves. */
class Graph {
  private readonly chart = flamegraph<FlameNode>();
  private readonly root: Node;
  private current: Node;
  private zoom: Node;
  private width: number;
  private readonly height: number;
  private readonly largestChange: number;
  /** Whether the zoom is being put back to what it was: nobody has chosen a frame then. */
  private isRestoring = false;

  constructor(
    private readonly canvas: HTMLElement,
    tree: FlameNode,
    private readonly listener: Listener,
  ) {
    this.width = canvas.clientWidth;
    this.height = depthOf(tree) * CELL_HEIGHT_PX;
    this.largestChange = largestChange(tree);
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.chart
      .inverted(true)
      .width(this.width)
      .cellHeight(CELL_HEIGHT_PX)
      .height(this.height)
      .minFrameSize(NARROWEST_PX)
      .transitionDuration(calm ? 0 : ZOOM_MS)
      .getName(({ data }) => caption(data))
      .getValue(({ width }) => width)
      .label(({ data }) => tooltip(data))
      .setColorMapper((node) => this.colour(node))
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

  /** The calls down to the one that fills the width. */
  zoomPath(): string[] {
    const path: string[] = [];
    for (let at: Node | null = this.zoom; at?.data.frame; at = at.parent) {
      path.unshift(zoomKey(at.data.frame));
    }
    return path;
  }

  /** Zooms in along *path* if there are such calls: half of the way would be a view of nothing. */
  zoomTo(path: readonly string[]): void {
    const node = path.length > 0 ? along(path, this.root) : undefined;
    if (node !== undefined) {
      this.isRestoring = true;
      this.chart.zoomTo(node);
      this.isRestoring = false;
    }
  }

  /** Does what *key* asks for. Returns false if that is nothing. */
  press(key: string, withControl: boolean): boolean {
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
        if (withControl) {
          this.open(this.current, true);
        } else {
          this.chart.zoomTo(this.current);
        }
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
    if (!this.isRestoring) {
      this.open(node, false);
    }
  }

  private open({ data }: Node, go: boolean): void {
    if (data.frame?.opens !== undefined) {
      this.listener.open(data.frame.opens, go);
    }
  }

  private colour({ data, highlight }: Node): string {
    if (highlight === true) {
      return "var(--flame-found)";
    }
    if (data.frame === null) {
      return "var(--flame-root)";
    }
    switch (changeOf(data)) {
      case null:
        return `var(--flame-${originOf(data.frame)}-${shadeOf(data.name)})`;
      case "same":
        return "var(--flame-same)";
      case "gone":
        return "transparent";
      default: {
        const side = data.value > (data.before ?? 0) ? "grown" : "shrunk";
        return `var(--flame-${side}-${strengthOf(data, this.largestChange)})`;
      }
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
    frames.attr("data-change", ({ data }) => data.frame && changeOf(data));
    frames.attr("data-opens", ({ data }) => (data.frame?.opens === undefined ? null : ""));
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

function caption(node: FlameNode): string {
  const change = changeOf(node);
  return change === null || change === "same" ? node.name : `${node.name}  ${changeText(node)}`;
}

function tooltip(node: FlameNode): string {
  const place = node.frame === null ? [] : [placeOf(node.frame)];
  return [node.name, ...place, amount(node)].join("\n");
}

/** What *node* holds, and in a comparison what it held: "30.0 MiB, +5.0 MiB". */
function amount(node: FlameNode): string {
  return [formatSize(node.value), ...(node.before === null ? [] : [changeText(node)])].join(", ");
}

/** What a call is known by after its line has moved. */
function zoomKey({ function: name, path }: FlameFrame): string {
  return JSON.stringify([name, path]);
}

function along([key, ...rest]: readonly string[], from: Node): Node | undefined {
  if (key === undefined) {
    return from;
  }
  for (const child of from.children ?? []) {
    const found =
      child.data.frame && zoomKey(child.data.frame) === key ? along(rest, child) : undefined;
    if (found !== undefined) {
      return found;
    }
  }
  return undefined;
}

/** A shade for a name, the same wherever it is. */
function shadeOf(name: string): number {
  let hash = 0;
  for (const character of name) {
    hash = (hash * 31 + (character.codePointAt(0) ?? 0)) % 9973;
  }
  return hash % SHADES;
}

function description({ data }: Node, tree: FlameNode, { open }: FlameGraphOptions): HTMLElement[] {
  const allocations = data.allocations === null ? [] : [counted(data.allocations, "allocation")];
  const name = element("strong", {}, data.name);
  if (data.frame === null) {
    const what = [...(data.before === null ? [] : [changeText(data)]), ...allocations].join(", ");
    const action = open === undefined ? "zoom in" : "zoom in and see its source";
    const hint = `Click a frame to ${action}, or use the arrow keys and Enter.`;
    return [name, element("span", {}, what === "" ? hint : `${what}. ${hint}`)];
  }
  const share = tree.value > 0 ? [formatShare(data.value / tree.value)] : [];
  const change = changeOf(data);
  const before =
    change === "grown" || change === "shrunk" ? [`before: ${formatSize(data.before ?? 0)}`] : [];
  const changes = change === null ? [] : [changeText(data), ...before];
  const facts = [formatSize(data.value), ...share, ...allocations, ...changes];
  return [name, place(data.frame, open), element("span", {}, facts.join(", "))];
}

function place(frame: FlameFrame, open: FlameGraphOptions["open"]): HTMLElement {
  const { opens } = frame;
  if (open === undefined || opens === undefined) {
    return element("code", {}, placeOf(frame));
  }
  const link = element(
    "button",
    { type: "button", class: "link", title: "Go to the source" },
    placeOf(frame),
  );
  link.addEventListener("click", () => open(opens, true));
  return element("code", {}, link);
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

/** What the colours mean, of those that there are in *tree*. */
function legend(tree: FlameNode): HTMLElement[] {
  const there = new Set<string | null>();
  for (const node of nodesBelow(tree)) {
    const change = changeOf(node);
    // What is new is in the colour of what has grown.
    there.add(change === "new" ? "grown" : (change ?? (node.frame && originOf(node.frame))));
  }
  return Object.entries(tree.before === null ? ORIGINS : CHANGES)
    .filter(([value]) => there.has(value))
    .map(([value, text]) =>
      element("li", { [tree.before === null ? "data-origin" : "data-change"]: value }, text),
    );
}

function* nodesBelow({ children }: FlameNode): Generator<FlameNode> {
  for (const child of children) {
    yield child;
    yield* nodesBelow(child);
  }
}
