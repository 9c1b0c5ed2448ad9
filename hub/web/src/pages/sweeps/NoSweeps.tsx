/** A project without sweeps: how one is made. */
import { Snippet } from "../../parts/Snippet.js";
import { commandLines, pythonLines } from "./snippets.js";

export function NoSweeps({ project }: { project: string }) {
  return (
    <section class="first-run" aria-label="The first sweep">
      <h2>No sweep yet</h2>
      <p>A sweep tries configurations of a training and finds the best. With the command line:</p>
      <Snippet text={commandLines(project)} what="the commands" />
      <p>
        It prints the command that starts an agent. An agent runs trials until there are no more; start as many as
        wanted, on any machine. In Python:
      </p>
      <Snippet text={pythonLines(project)} what="the Python lines" />
    </section>
  );
}
