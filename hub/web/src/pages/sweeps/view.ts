/** The part of the address for a sweep's page: the trials' order, and the ranges of its axes. */
import { viewState } from "../../state/navigation.js";
import { list, text } from "../../state/query.js";
import { NEWEST_FIRST } from "./trials.js";

export const SWEEP_VIEW = { s: text(NEWEST_FIRST), b: list() };

export function sweepView() {
  return viewState(SWEEP_VIEW);
}
