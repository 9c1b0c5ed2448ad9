/** The shortcuts that work on this page, and the setting that turns them off. */
import { areShortcutsOn, setShortcutsOn, shortcuts } from "../state/keys.js";
import { Dialog } from "./Dialog.js";

const NAMES: Readonly<Record<string, string>> = { " ": "Space", O: "Shift+o" };

export function ShortcutsHelp({ onClose }: { onClose(): void }) {
  return (
    <Dialog title="Keyboard shortcuts" onClose={onClose}>
      <dl class="shortcuts">
        {shortcuts.value.map(({ keys, what }) => (
          <div key={keys}>
            <dt>
              <kbd>{NAMES[keys] ?? keys}</kbd>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <label class="choice">
        <input
          type="checkbox"
          checked={areShortcutsOn.value}
          onChange={(event) => setShortcutsOn(event.currentTarget.checked)}
        />
        Single keys work as shortcuts
      </label>
    </Dialog>
  );
}
