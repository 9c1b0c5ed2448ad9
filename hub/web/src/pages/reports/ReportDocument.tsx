/** A report's blocks: texts, panels, and the reason in place of a panel that is not drawn. */
import type { ComponentType } from "preact";

import type { Block, PanelFields, Problem } from "../../api/reports.js";
import { blockKeys } from "./fields.js";
import { HistogramBlock } from "./HistogramBlock.js";
import { LinePanel } from "./LinePanel.js";
import { MediaPanel, TablePanel } from "./MediaPanel.js";
import { PanelFrame } from "./PanelFrame.js";
import { RunsPanel, ValuePanel } from "./RunsPanel.js";
import { TextNodes } from "./TextNodes.js";

const PANELS: Readonly<Record<string, ComponentType<{ project: string; fields: PanelFields }>>> = {
  line: LinePanel,
  runs: RunsPanel,
  value: ValuePanel,
  media: MediaPanel,
  histogram: HistogramBlock,
  table: TablePanel,
};

interface ReportDocumentProps {
  project: string;
  blocks: readonly Block[];
  /** Take the writer to a line of the text. */
  onLine?: (line: number) => void;
}

export function ReportDocument({ project, blocks, onLine }: ReportDocumentProps) {
  const keys = blockKeys(blocks);
  return (
    <article class="report-document">
      {blocks.map((block, at) => {
        if (block.problems.length > 0) return <Problems key={keys[at]} block={block} onLine={onLine} />;
        if (block.panel === "") return <div key={keys[at]} class="report-text"><TextNodes nodes={block.nodes} /></div>;
        const Panel = PANELS[block.panel];
        return (
          <PanelFrame key={keys[at]} kind={block.panel} fields={block.fields ?? {}}>
            {Panel ? <Panel project={project} fields={block.fields ?? {}} /> : <NewerPanel kind={block.panel} />}
          </PanelFrame>
        );
      })}
    </article>
  );
}

function NewerPanel({ kind }: { kind: string }) {
  return <p class="panel-empty">{`The hub was updated and has panels of the kind ${kind}. Reload the page to see them.`}</p>;
}

function Problems({ block, onLine }: { block: Block; onLine: ((line: number) => void) | undefined }) {
  return (
    <section class="notice bad report-problem" aria-label="A panel that is not drawn">
      <p class="notice-title">This panel is not drawn</p>
      <ul>
        {block.problems.map((problem, at) => <li key={at}><Where problem={problem} onLine={onLine} />{problem.message}</li>)}
      </ul>
      {block.source !== "" && <pre tabIndex={0}>{block.source}</pre>}
    </section>
  );
}

function Where({ problem: { line }, onLine }: { problem: Problem; onLine: ((line: number) => void) | undefined }) {
  const text = `Line ${line}`;
  if (!onLine) return <span class="fact">{`${text}: `}</span>;
  return <><button type="button" class="small" onClick={() => onLine(line)}>{text}</button>{" "}</>;
}
