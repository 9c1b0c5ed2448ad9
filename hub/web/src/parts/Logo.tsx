/** The stepwell: steps that lead down to a point. */
export function Logo() {
  return (
    <svg class="logo" viewBox="0 0 16 16" width="24" height="24" aria-hidden="true">
      <path fill="currentColor" d="M0 1h16v4h-3v4h-3v4H6V9H3V5H0z" />
    </svg>
  );
}
