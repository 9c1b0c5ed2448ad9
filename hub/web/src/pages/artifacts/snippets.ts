/** Lines of Python and of the shell that the pages of artifacts show. Pure. */

/** How a script logs the first version of an artifact. */
export function logLines(project: string): string {
  return `import stepwell

with stepwell.init(project=${pythonText(project)}) as run:
    artifact = stepwell.Artifact("data", type="dataset")
    artifact.add_dir("data/")
    run.log_artifact(artifact)`;
}

/** How a script uses a version. */
export function useLines(name: string, version: string): string {
  return `artifact = run.use_artifact(${pythonText(`${name}:${version}`)})
folder = artifact.download()`;
}

/** A literal of Python. JSON's escapes mean the same there. */
function pythonText(text: string): string {
  return JSON.stringify(text);
}
