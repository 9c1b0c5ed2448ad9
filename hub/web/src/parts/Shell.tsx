/** What surrounds each page: sections on the left (below on phones) and the page's own area. */
import type { ComponentChildren } from "preact";

import { isHubReachable } from "../api/client.js";
import { pathOf, type Route } from "../state/routes.js";
import { theme, toggleTheme } from "../state/theme.js";
import { Logo } from "./Logo.js";

interface Section {
  label: string;
  href: string;
  isCurrent: boolean;
}

export function Shell({ route, children }: { route: Route; children: ComponentChildren }) {
  return (
    <div class="shell">
      <nav class="sections" aria-label="Sections">
        <a class="home" href="/" aria-label="stepwell: all projects">
          <Logo />
        </a>
        {sectionsOf(route).map(({ label, href, isCurrent }) => (
          <a key={href} class="section" href={href} aria-current={isCurrent ? "page" : undefined}>
            {label}
          </a>
        ))}
        <button
          type="button"
          class="section theme"
          aria-label={theme.value === "dark" ? "Change to the light theme" : "Change to the dark theme"}
          onClick={toggleTheme}
        >
          {theme.value === "dark" ? "Light" : "Dark"}
        </button>
      </nav>
      <div class="page">
        {!isHubReachable.value && (
          <p class="banner" role="status">
            The hub does not answer. What is shown may be old.
          </p>
        )}
        {children}
      </div>
    </div>
  );
}

function sectionsOf(route: Route): Section[] {
  const section = (label: string, target: Route, isCurrent = route.page === target.page) => ({
    label,
    href: pathOf(target),
    isCurrent,
  });
  const everywhere = [section("Projects", { page: "projects" }), section("Status", { page: "status" })];
  if (!("project" in route)) return everywhere;
  const { project } = route;
  return [
    section("Charts", { page: "charts", project }),
    section("Table", { page: "table", project }, route.page === "table"),
    ...everywhere,
  ];
}
