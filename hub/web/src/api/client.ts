/**
 * Requests to the hub. The cookie that the printed link set goes along by itself.
 *
 * Every failure is an ApiError, a HubUnreachableError or the AbortError of the caller's signal. A
 * 401 also sets `isSignedOut`: the page then shows how to sign in.
 */
import { signal } from "@preact/signals";

import { ApiError, HubUnreachableError, isAborted } from "./errors.js";
import { decodeJson } from "./values.js";

export const API = "/api/v1";
const KEEPALIVE_CHARACTERS_MAX = 20_000;
const LASTING: ReadonlySet<string> = new Set(["PATCH", "DELETE"]);

/** True after the hub refused the cookie. Only a new link from the command line ends it. */
export const isSignedOut = signal(false);
/** False while the last request found no hub. */
export const isHubReachable = signal(true);

export type QueryParameters = Record<string, string | number | boolean | readonly string[] | null | undefined>;

export interface RequestOptions {
  query?: QueryParameters;
  body?: unknown;
  headers?: Readonly<Record<string, string>>;
  signal?: AbortSignal;
}

/** Ask for JSON. A 204 gives undefined. */
export async function request<T>(method: string, path: string, options: RequestOptions = {}): Promise<T> {
  const response = await requestResponse(method, path, options);
  if (response.status === 204) return undefined as T;
  return decodeJson(await response.text()) as T;
}

/** Ask and return the response, checked for errors, with its body unread. */
export async function requestResponse(
  method: string,
  path: string,
  { query, body, headers, signal: abort }: RequestOptions = {},
): Promise<Response> {
  const init: RequestInit = { method, credentials: "same-origin" };
  if (abort) init.signal = abort;
  if (headers) init.headers = headers;
  if (body !== undefined) {
    const text = JSON.stringify(body);
    init.body = text;
    init.headers = { ...headers, "Content-Type": "application/json" };
  }
  // A change is sent to its end though the tab is closed. The browser's bound is 64 KiB.
  if (LASTING.has(method) && String(init.body ?? "").length < KEEPALIVE_CHARACTERS_MAX) init.keepalive = true;
  let response: Response;
  try {
    response = await fetch(API + path + queryString(query), init);
  } catch (error) {
    if (isAborted(error)) throw error;
    isHubReachable.value = false;
    throw new HubUnreachableError(String((error as Error).message ?? error));
  }
  isHubReachable.value = true;
  if (!response.ok) throw await errorOf(response);
  return response;
}

/** "/projects/a/runs/b" from ["projects", "a", "runs", "b"], each segment encoded. */
export function pathFrom(...segments: string[]): string {
  return segments.map((segment) => `/${encodeURIComponent(segment)}`).join("");
}

export function queryString(query: QueryParameters | undefined): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value === null || value === undefined || value === "") continue;
    for (const item of Array.isArray(value) ? value : [value]) parameters.append(name, String(item));
  }
  const text = parameters.toString();
  return text === "" ? "" : `?${text}`;
}

async function errorOf(response: Response): Promise<ApiError> {
  if (response.status === 401) isSignedOut.value = true;
  let body: unknown = null;
  try {
    body = JSON.parse(await response.text());
  } catch {
    // A proxy's own error page: the status line is all there is to show.
  }
  const error = (body as { error?: Record<string, unknown> } | null)?.error;
  const { code, message, field, position, length } = error ?? {};
  return new ApiError(
    response.status,
    typeof code === "string" ? code : `http_${response.status}`,
    typeof message === "string" ? message : `The hub answered ${response.status} ${response.statusText}`,
    {
      ...(typeof field === "string" ? { field } : {}),
      ...(typeof position === "number" ? { position } : {}),
      ...(typeof length === "number" ? { length } : {}),
    },
  );
}
