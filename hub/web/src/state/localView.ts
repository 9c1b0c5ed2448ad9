/** A view that is not in the address: of a part of a page that has many of its kind. */
import { signal } from "@preact/signals";

import type { ViewState } from "./navigation.js";
import { writeQuery, type View, type ViewValues } from "./query.js";

export function localView<V extends View>(view: V, first: Partial<ViewValues<V>>): ViewState<V> {
  const fallbacks = Object.fromEntries(Object.entries(view).map(([key, field]) => [key, field.fallback]));
  const values = signal({ ...fallbacks, ...first } as ViewValues<V>);
  return {
    values,
    queryOf: (changes) => writeQuery(view, { ...values.peek(), ...changes }, ""),
    change: (changes) => (values.value = { ...values.peek(), ...changes }),
  };
}
