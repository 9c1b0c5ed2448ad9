/**
 * Text of a report: elements made of the hub's nodes. No HTML is parsed, so a text cannot bring
 * elements, attributes or scripts of its own.
 */
import { createElement, type ComponentChildren } from "preact";

import type { TextNode } from "../../api/reports.js";

const TAGS: ReadonlySet<string> = new Set([
  "h1", "h2", "h3", "h4", "h5", "h6", "p", "ul", "ol", "li", "blockquote", "pre", "hr", "br",
  "code", "em", "strong", "s", "a", "table", "thead", "tbody", "tr", "th", "td",
]);

export function TextNodes({ nodes }: { nodes: readonly TextNode[] }) {
  return <>{nodes.map(made)}</>;
}

function made(node: TextNode, at: number): ComponentChildren {
  if (typeof node === "string") return node;
  const [tag, attributes, ...inner] = node;
  if (!TAGS.has(tag)) return inner.map(made);
  const properties: Record<string, unknown> = { key: at };
  for (const name of ["id", "title", "start"]) if (attributes[name] !== undefined) properties[name] = attributes[name];
  if (attributes["align"] !== undefined) properties["class"] = `align-${attributes["align"]}`;
  if (attributes["lang"] !== undefined) properties["data-language"] = attributes["lang"];
  if (tag === "a" && attributes["href"] !== undefined) Object.assign(properties, linkTo(String(attributes["href"])));
  if (tag === "pre") properties["tabIndex"] = 0;
  if (tag === "br" || tag === "hr") return createElement(tag, properties);
  const element = createElement(tag, properties, inner.map(made));
  if (tag !== "table") return element;
  return <div key={at} class="scroll-x" tabIndex={0} role="group" aria-label="Table">{element}</div>;
}

/** Links out of the hub open beside it, and learn nothing of it. Others are refused here too. */
export function linkTo(address: string): Record<string, string> {
  let url: URL;
  try {
    url = new URL(address, location.href);
  } catch {
    return {};
  }
  if (!["http:", "https:", "mailto:"].includes(url.protocol)) return {};
  if (url.origin === location.origin) return { href: address };
  return { href: url.href, target: "_blank", rel: "noopener noreferrer" };
}
