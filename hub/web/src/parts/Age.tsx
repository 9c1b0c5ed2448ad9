/** How long ago something was, with the moment itself on hover. */
import { now } from "../state/clock.js";
import { formatAge, formatMoment } from "./format.js";

export function Age({ moment }: { moment: number | null }) {
  if (moment === null) return null;
  return (
    <time dateTime={new Date(moment * 1000).toISOString()} title={formatMoment(moment)}>
      {formatAge(moment, now.value)}
    </time>
  );
}
