/** A component in a chunk of its own. Until the chunk is here nothing is shown. */
import { signal } from "@preact/signals";
import type { ComponentType } from "preact";

import { Notice } from "./Notice.js";

export function lazy<P extends object>(load: () => Promise<ComponentType<P>>): ComponentType<P> {
  const loaded = signal<ComponentType<P> | null>(null);
  const failed = signal(false);
  let isStarted = false;
  const start = () => {
    isStarted = true;
    failed.value = false;
    load().then(
      (component) => (loaded.value = component),
      () => (failed.value = true),
    );
  };
  return function Lazy(props: P) {
    if (!isStarted) start();
    const Loaded = loaded.value;
    if (Loaded) return <Loaded {...props} />;
    if (!failed.value) return null;
    return (
      <Notice title="This part of the page did not load" kind="bad">
        <p>The hub may have been updated since the page was opened.</p>
        <button type="button" onClick={() => location.reload()}>Reload the page</button>
      </Notice>
    );
  };
}
