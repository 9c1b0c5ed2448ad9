/** Which chart a script made of its table: the kind, and the columns that it uses. Pure. */
import { isValueMap, type ValueMap } from "../../api/values.js";

/** Most classes that a confusion matrix draws. */
export const CLASSES_MAX = 200;

export type ChartKind = "line" | "curve" | "scatter" | "bar" | "histogram" | "confusion_matrix";
export type Role = "x" | "y" | "series" | "label" | "value" | "actual" | "predicted" | "count";

export interface ChartSpec {
  readonly kind: ChartKind;
  /** The number of the column of each role. */
  readonly columns: Readonly<Partial<Record<Role, number>>>;
  /** "": the axis is called as its column. */
  readonly xTitle: string;
  readonly yTitle: string;
  /** True: with the line of a classifier that guesses. */
  readonly hasDiagonal: boolean;
}

const NEEDED: Readonly<Record<ChartKind, readonly Role[]>> = {
  line: ["x", "y"],
  curve: ["x", "y"],
  scatter: ["x", "y"],
  bar: ["label", "value"],
  histogram: ["value"],
  confusion_matrix: ["actual", "predicted", "count"],
};

/** The chart of a logged table; null where there is none, or one of a later release. */
export function chartOf(about: ValueMap): ChartSpec | null {
  const told = about["chart"];
  if (!isValueMap(told)) return null;
  const kind = told["kind"];
  if (typeof kind !== "string" || !Object.hasOwn(NEEDED, kind)) return null;
  const needed = NEEDED[kind as ChartKind];
  const columns: Partial<Record<Role, number>> = {};
  for (const role of [...needed, "series"] as const) {
    const place = told[role];
    if (typeof place === "number" && Number.isInteger(place) && place >= 0) columns[role] = place;
    else if (role !== "series") return null;
  }
  return {
    kind: kind as ChartKind,
    columns,
    xTitle: textOf(told["x_title"]),
    yTitle: textOf(told["y_title"]),
    hasDiagonal: told["diagonal"] === true,
  };
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
