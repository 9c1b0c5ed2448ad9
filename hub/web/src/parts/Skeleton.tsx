/** Rows that are on their way: steps that go down. Shown after 100 ms only, so quick answers do not flicker. */
export function Skeleton({ rows = 8 }: { rows?: number }) {
  return (
    <div class="skeleton" role="status" aria-label="Loading">
      {Array.from({ length: rows }, (_, at) => (
        <span key={at} style={{ width: `${Math.max(12, 92 - at * (80 / rows))}%` }} />
      ))}
    </div>
  );
}
