/** What surrounds each page: sections on the left (below on phones) and the page's own area. */
import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useMemo } from "preact/hooks";

import { isHubReachable } from "../api/client.js";
import { useKeys, type Shortcut } from "../state/keys.js";
import { navigate } from "../state/navigation.js";
import { pathOf, type Route } from "../state/routes.js";
import { theme, toggleTheme } from "../state/theme.js";
import { Logo } from "./Logo.js";
import { ShortcutsHelp } from "./ShortcutsHelp.js";
import { Toasts } from "./Toasts.js";

const isHelpOpen = signal(false);

interface Section {
  label: string;
  href: string;
  isCurrent: boolean;
}

export function Shell({ route, children }: { route: Route; children: ComponentChildren }) {
  const keys = useMemo(() => shellKeys(route), [route]);
  useKeys(keys);
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
        <button
          type="button"
          class="section keys"
          title="Keyboard shortcuts: ?"
          onClick={() => (isHelpOpen.value = true)}
        >
          Keys
        </button>
      </nav>
      <div class="page">
        {!isHubReachable.value && (
          <p class="banner" role="status">
            The hub does not answer. The page may be out of date.
          </p>
        )}
        {children}
      </div>
      <Toasts />
      {isHelpOpen.value && <ShortcutsHelp onClose={() => (isHelpOpen.value = false)} />}
    </div>
  );
}

function shellKeys(route: Route): Shortcut[] {
  const go = (target: Route) => () => navigate(pathOf(target));
  const focus = (key: string) => () => document.querySelector<HTMLElement>(`[data-key="${key}"]`)?.focus();
  const keys: Shortcut[] = [
    { keys: "?", what: "show this list", run: () => (isHelpOpen.value = true) },
    { keys: "/", what: "search", run: focus("/") },
    { keys: "r", what: "filter runs", run: focus("r") },
    { keys: "t", what: "change the theme", run: toggleTheme },
    { keys: "g p", what: "go to projects", run: go({ page: "projects" }) },
    { keys: "g h", what: "go to the hub's status", run: go({ page: "status" }) },
  ];
  if (!("project" in route)) return keys;
  const { project } = route;
  return [
    ...keys,
    { keys: "g c", what: "go to charts", run: go({ page: "charts", project }) },
    { keys: "g t", what: "go to the table", run: go({ page: "table", project }) },
    { keys: "g m", what: "go to the media", run: go({ page: "media", project }) },
    { keys: "g a", what: "go to the artifacts", run: go({ page: "artifacts", project }) },
    { keys: "g s", what: "go to the sweeps", run: go({ page: "sweeps", project }) },
    { keys: "g r", what: "go to the reports", run: go({ page: "reports", project }) },
  ];
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
    section("Media", { page: "media", project }),
    section("Sweeps", { page: "sweeps", project }, route.page === "sweeps" || route.page === "sweep"),
    section("Reports", { page: "reports", project }, route.page === "reports" || route.page === "report"),
    section("Artifacts", { page: "artifacts", project }, route.page === "artifacts" || route.page === "version"),
    ...everywhere,
  ];
}
