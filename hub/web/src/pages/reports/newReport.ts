/** A new report, which opens in the editor. */
import { createReport } from "../../api/reports.js";
import { navigate } from "../../state/navigation.js";
import { pathOf } from "../../state/routes.js";
import { say } from "../../state/toasts.js";

const FIRST_TEXT = `Question, experiments and results.

\`\`\`stepwell
panel: runs
columns: state, started, duration
limit: 10
\`\`\`
`;

interface FirstState {
  title?: string;
  text?: string;
  /** Called when the report is made, before the editor opens. */
  onMade?: () => void;
}

export async function startReport(
  project: string,
  { title = "Untitled report", text = FIRST_TEXT, onMade }: FirstState = {},
): Promise<void> {
  const key = newKey();
  try {
    const { id } = await createReport(project, { key, title, text });
    onMade?.();
    navigate(pathOf({ page: "report", project, reportId: id, isEdited: true }));
  } catch (failure) {
    say(`Creating the report failed: ${(failure as Error).message}`, "bad");
  }
}

/** `crypto.randomUUID` is missing where the hub is reached by plain http. */
function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
