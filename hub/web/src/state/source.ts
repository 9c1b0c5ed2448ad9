/** The metadata of a run, read for where its code came from. Pure. */
import { isValueMap, type Value, type ValueMap } from "../api/values.js";

export interface Source {
  /** As one would type it in a shell. */
  command: string;
  folder: string;
  commit: string;
  branch: string;
  remote: string;
  isDirty: boolean;
  python: string;
}

/** "" for what is not known. */
export function sourceOf(metadata: ValueMap): Source {
  const git = mapOf(metadata["git"]);
  const command = mapOf(metadata["command"]);
  return {
    command: commandLine(metadata["command"]),
    folder: textOf(command["folder"]),
    commit: textOf(git["commit"]),
    branch: textOf(git["branch"]),
    remote: textOf(git["remote"]),
    isDirty: git["dirty"] === true,
    python: textOf(mapOf(metadata["python"])["version"]) || textOf(metadata["python"]),
  };
}

function commandLine(command: Value | undefined): string {
  if (typeof command === "string") return command;
  const line = mapOf(command)["line"];
  return Array.isArray(line) ? line.map((word: Value) => quote(textOf(word))).join(" ") : "";
}

/** A word for a POSIX shell. */
function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

function mapOf(value: Value | undefined): ValueMap {
  return isValueMap(value) ? value : {};
}

function textOf(value: Value | undefined): string {
  return typeof value === "string" ? value : "";
}
