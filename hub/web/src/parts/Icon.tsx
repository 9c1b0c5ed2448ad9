/** Small drawings for buttons: 12 × 12, in the colour of the text. The button says its name. */
const PATHS = {
  close: "M2.5 2.5l7 7m0-7l-7 7",
  full: "M7.5 1.5h3v3M4.5 10.5h-3v-3M10.5 1.5L7 5M1.5 10.5L5 7",
  columns: "M1.5 2.5h9v7h-9zm3 0v7m3-7v7",
  table: "M1.5 2.5h9v7h-9zm0 2.5h9m-9 2.25h9M4.5 5v4.5",
  left: "M7.5 2.5L4 6l3.5 3.5",
  right: "M4.5 2.5L8 6l-3.5 3.5",
  down: "M2.5 4.5L6 8l3.5-3.5",
  ridge: "M1 10h2l1.5-3L6 10h5M1 6h4l1.5-4L8 6h3",
  pencil: "M2 10l.6-2.4L8.2 2l1.8 1.8-5.6 5.6z",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">
      <path fill="none" stroke="currentColor" stroke-linejoin="round" d={PATHS[name]} />
    </svg>
  );
}
