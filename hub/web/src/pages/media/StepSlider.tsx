/** A slider over the steps that exist, with buttons beside it. Arrow keys move it step by step. */
import { formatAmount } from "../../parts/format.js";
import { Icon } from "../../parts/Icon.js";
import { indexAt, moved, stepOfIndex } from "../../state/steps.js";

interface StepSliderProps {
  label: string;
  steps: readonly number[];
  /** null: the newest. */
  step: number | null;
  onMove(step: number | null, isFinal: boolean): void;
}

export function StepSlider({ label, steps, step, onMove }: StepSliderProps) {
  const last = Math.max(0, steps.length - 1);
  const index = step === null ? last : Math.max(0, indexAt(steps, step));
  const shown = step ?? steps[last] ?? 0;
  const move = (by: number) => onMove(moved(steps, step, by), true);
  return (
    <div class="step-slider">
      <button type="button" aria-label={`Previous step: ${label}`} disabled={index === 0} onClick={() => move(-1)}>
        <Icon name="left" />
      </button>
      <input
        type="range"
        aria-label={label}
        aria-valuetext={`step ${shown}${step === null ? ", the newest" : ""}`}
        min={0}
        max={last}
        step={1}
        value={index}
        disabled={steps.length < 2}
        onInput={(event) => onMove(stepOfIndex(steps, event.currentTarget.valueAsNumber), false)}
        onChange={(event) => onMove(stepOfIndex(steps, event.currentTarget.valueAsNumber), true)}
      />
      <button type="button" aria-label={`Next step: ${label}`} disabled={index >= last} onClick={() => move(1)}>
        <Icon name="right" />
      </button>
      <output class="step-shown" title={`${formatAmount(steps.length, "step")} with media`}>
        {steps.length === 0 ? "" : `step ${shown}`}
      </output>
      <button
        type="button"
        aria-pressed={step === null}
        title="Follow the newest step"
        aria-label={`Newest step: ${label}`}
        onClick={() => onMove(step === null ? shown : null, true)}
      >
        Newest
      </button>
    </div>
  );
}
