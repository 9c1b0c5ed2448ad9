/** The line on top of a page: where it is, and its controls. It also names the browser's tab. */
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";

export interface Crumb {
  label: string;
  href?: string;
}

export function PageHeader({ crumbs, children }: { crumbs: readonly Crumb[]; children?: ComponentChildren }) {
  const title = crumbs.map((crumb) => crumb.label).reverse().join(" · ");
  useEffect(() => {
    document.title = title === "" ? "stepwell" : `${title} · stepwell`;
  }, [title]);
  const last = crumbs.length - 1;
  return (
    <header class="page-header">
      <h1 class="crumbs">
        {crumbs.map(({ label, href }, at) => (
          <span key={at} class={at === last ? "crumb last" : "crumb"} title={label}>
            {href === undefined ? label : <a href={href}>{label}</a>}
          </span>
        ))}
      </h1>
      {children}
    </header>
  );
}
