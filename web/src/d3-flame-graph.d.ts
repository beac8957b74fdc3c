// The part of d3-flame-graph that is used here; the package brings no types.

declare module "d3-flame-graph" {
  import type { Selection } from "d3-selection";

  /** What is drawn: the data's hierarchy, laid out between 0 and 1. */
  export interface LaidOut<Data> {
    readonly data: Data;
    readonly parent: LaidOut<Data> | null;
    readonly children?: LaidOut<Data>[];
    readonly depth: number;
    readonly x0: number;
    readonly x1: number;
    highlight?: boolean;
  }

  export interface Chart<Data> {
    (selection: Selection<HTMLElement, Data, null, undefined>): unknown;
    width(pixels: number): Chart<Data>;
    height(pixels: number): Chart<Data>;
    cellHeight(pixels: number): Chart<Data>;
    minFrameSize(pixels: number): Chart<Data>;
    inverted(inverted: boolean): Chart<Data>;
    transitionDuration(milliseconds: number): Chart<Data>;
    label(text: (node: LaidOut<Data>) => string): Chart<Data>;
    getName(name: (node: LaidOut<Data>) => string): Chart<Data>;
    getValue(value: (data: Data) => number): Chart<Data>;
    setColorMapper(color: (node: LaidOut<Data>) => string): Chart<Data>;
    setSearchMatch(matches: (node: LaidOut<Data>, term: string) => boolean): Chart<Data>;
    setSearchHandler(found: (nodes: LaidOut<Data>[]) => void): Chart<Data>;
    setDetailsHandler(show: (label: string | null) => void): Chart<Data>;
    onClick(clicked: (node: LaidOut<Data>) => void): Chart<Data>;
    onHover(hovered: (node: LaidOut<Data>) => void): Chart<Data>;
    search(term: string): void;
    clear(): void;
    zoomTo(node: LaidOut<Data>): void;
    resetZoom(): void;
    update(): Chart<Data>;
    destroy(): void;
  }

  export default function flamegraph<Data>(): Chart<Data>;
}
