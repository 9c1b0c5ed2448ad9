/** An empty hub: three lines that make the first run. The page waits and opens it. */
import { useEffect, useMemo } from "preact/hooks";

import { Snippet } from "../../parts/Snippet.js";
import { findFirstRun } from "../../state/firstRun.js";
import { navigate } from "../../state/navigation.js";
import { useLive } from "../../state/useLive.js";

const SNIPPET = `import stepwell
with stepwell.init(project="first", config={"lr": 0.1}) as run:
    for step in range(100): run.log({"loss": 1 / (step + 1)})
`;
const EXISTING = "stepwell run -- python train.py";

export function FirstRun() {
  const ending = useMemo(() => new AbortController(), []);
  useEffect(() => () => ending.abort(), []);
  useLive({ project: null, runs: [], metrics: [] }, () => {
    findFirstRun(ending.signal).then(
      (address) => address !== null && !ending.signal.aborted && navigate(address),
      // The banner of the shell says that the hub does not answer; live news come again.
      () => undefined,
    );
  });
  return (
    <section class="first-run" aria-label="The first run">
      <Steps />
      <h2>No run yet</h2>
      <p>Run this on the machine where the hub runs. The page opens the run as soon as it starts.</p>
      <Snippet text={SNIPPET} what="the Python lines" />
      <p>A script with <code>import wandb</code> runs unchanged:</p>
      <Snippet text={EXISTING} what="the command" />
      <p class="fact waiting-note" role="status">Waiting for the first run</p>
    </section>
  );
}

function Steps() {
  return (
    <svg class="steps" viewBox="0 0 64 40" width="96" height="60" aria-hidden="true">
      <path fill="none" stroke="currentColor" stroke-width="1" d="M.5 4v4h8v8h8v8h8v8h15v-8h8v-8h8V8h8V4" />
      <path fill="currentColor" d="M25 34h14v2H25z" />
    </svg>
  );
}
