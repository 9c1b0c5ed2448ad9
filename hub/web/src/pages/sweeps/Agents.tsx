/** The agents of a sweep: who they are, whether they are alive, and which trial they run. */
import { useSignal } from "@preact/signals";

import type { Sweep, SweepAgent, Trial } from "../../api/sweeps.js";
import type { ValueMap } from "../../api/values.js";
import { Age } from "../../parts/Age.js";
import { formatAmount, formatCount } from "../../parts/format.js";
import { Snippet } from "../../parts/Snippet.js";
import { TrialLink } from "./TrialLink.js";

const SHOWN_MAX = 10;

export function Agents({ sweep, trials }: { sweep: Sweep; trials: readonly Trial[] }) {
  const isWhole = useSignal(false);
  const { agents } = sweep;
  const withFunction = needsFunction(sweep.config);
  const alive = agents.filter(({ is_alive }) => is_alive).length;
  const held = new Map(trials.filter(({ state }) => state === "running").map((trial) => [trial.agent, trial]));
  const sorted = [...agents].sort((a, b) => Number(b.is_alive) - Number(a.is_alive) || b.seen_at - a.seen_at);
  const shown = isWhole.value ? sorted : sorted.slice(0, SHOWN_MAX);
  return (
    <section class="card" aria-label="Agents">
      <header class="card-head">
        <h2>Agents</h2>
        <span class="fact">{agents.length > 0 && `${formatCount(alive)} of ${formatCount(agents.length)} alive`}</span>
      </header>
      {sweep.state !== "finished" && sweep.state !== "canceled" && (
        <Snippet text={withFunction ? `stepwell.agent("${sweep.id}", train)` : `stepwell agent ${sweep.id}`} what={withFunction ? "the call" : "the command"} />
      )}
      {agents.length === 0 && (
        <p class="fact">
          {withFunction
            ? "No agent has registered yet. The sweep has no program: start one with this call, in a script with the function train."
            : "No agent has registered yet. Start one with this command, on any machine."}
        </p>
      )}
      {agents.length > 0 && (
        <div class="scroll-x" tabIndex={0} role="group" aria-label="Table of agents">
          <table class="rows dense">
            <thead>
              <tr>
                <th scope="col">Agent</th>
                <th scope="col">State</th>
                <th scope="col">Trial</th>
                <th scope="col">Last heartbeat</th>
              </tr>
            </thead>
            <tbody>
              {shown.map((agent) => (
                <AgentRow key={agent.id} sweep={sweep} agent={agent} trial={held.get(agent.id)} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {shown.length < sorted.length && (
        <button type="button" class="small" onClick={() => (isWhole.value = true)}>
          {`Show all ${formatAmount(sorted.length, "agent")}`}
        </button>
      )}
    </section>
  );
}

/** True if only agents with a function can run the sweep: its command lacks the program. */
export function needsFunction({ command, program }: ValueMap): boolean {
  const words = typeof command === "string" ? command.split(/\s+/) : command;
  return !program && (!Array.isArray(words) || words.length === 0 || words.includes("${program}"));
}

function AgentRow({ sweep, agent, trial }: { sweep: Sweep; agent: SweepAgent; trial: Trial | undefined }) {
  const [kind, word, title] = stateOf(agent, trial !== undefined);
  return (
    <tr data-agent={agent.id}>
      <th scope="row" title={`agent ${agent.id}, runs trials by a ${agent.kind}`}>
        {`${agent.host}, process ${agent.pid}`}
      </th>
      <td><span class={`badge ${kind}`} title={title}>{word}</span></td>
      <td>
        {trial && (
          <TrialLink project={sweep.project} trial={trial}>{formatCount(trial.number)}</TrialLink>
        )}
      </td>
      <td><Age moment={agent.seen_at} /></td>
    </tr>
  );
}

export function stateOf(agent: SweepAgent, hasTrial: boolean): [kind: string, word: string, title: string] {
  if (agent.is_alive) {
    return hasTrial
      ? ["live", "runs a trial", "Its heartbeats arrive"]
      : ["done", "waits", "It sent a heartbeat in the last 30 seconds and has no trial"];
  }
  if (agent.ended_at !== null) return ["done", "ended", "It reported its end"];
  return hasTrial
    ? ["stale", "silent", "No heartbeat for 30 seconds: the next agent gets its trial"]
    : ["done", "gone", "No heartbeat for 30 seconds"];
}
