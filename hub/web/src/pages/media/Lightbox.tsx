/** One item on the whole screen: a picture with zoom, or a page in a sandbox. */
import { useSignal, type Signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

import type { MediaItem, MediaValue, RunOverview } from "../../api/types.js";
import { Dialog } from "../../parts/Dialog.js";
import { Icon } from "../../parts/Icon.js";
import { runColor } from "../../state/palette.js";
import { pathOf } from "../../state/routes.js";
import { theme } from "../../state/theme.js";
import { chartOf } from "../datatable/chartSpec.js";
import { TableValue } from "../datatable/TableValue.js";
import { Compare, type Side } from "./Compare.js";
import { boxGroups, type Size } from "./boxes.js";
import { BoxSwitches } from "./BoxSwitches.js";
import { MaskSwitches, type MaskClasses } from "./MaskSwitches.js";
import { Figure } from "./Figure.js";
import { downloadUrl, isTiny, itemFacts, itemKind, itemName, stateText } from "./items.js";
import type { StepTurn } from "./mediumSteps.js";
import { BoxedPicture } from "./Picture.js";
import type { TableStore } from "./valueProps.js";

const ZOOM_FACTOR = 1.5;
const ZOOM_MIN = 0.05;
const ZOOM_MAX = 64;

export interface Opened {
  readonly value: MediaValue;
  readonly at: number;
  readonly run: Pick<RunOverview, "project" | "run_id" | "name" | "slot" | "color">;
}

interface LightboxProps extends Opened {
  onTurn(at: number): void;
  /** The moves to the value of the step before or after; undefined where they are not known. */
  readonly steps?: StepTurn;
  /** Show the value of the run before or after. */
  onRun?(by: number): void;
  readonly tables: TableStore;
  onClose(): void;
}

export function Lightbox({ value, at, run, tables, onTurn, steps, onRun, onClose }: LightboxProps) {
  const { items } = value;
  const item = items[Math.min(at, items.length - 1)];
  const count = items.length;
  const turn = (by: number) => onTurn((at + by + count) % count);
  const pinned = useSignal<Side | null>(null);
  const hidden = useSignal<ReadonlySet<string>>(new Set());
  const name = item === undefined ? "" : itemName(item, at, count);
  const where = `${run.name || run.run_id}, step ${value.step}`;
  const isPicture = item?.state === "ready" && itemKind(item) === "image";
  const pin = () => {
    if (pinned.value !== null) pinned.value = null;
    else if (item !== undefined && isPicture) pinned.value = { item, name, where };
  };
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if ((event.target as Element).closest("input, select, textarea, .datatable")) return;
      // There the arrow keys scroll an enlarged picture, or move within a sound or a film.
      const isArrow = event.key.startsWith("Arrow");
      if (isArrow && (event.target as Element).closest("audio, video, .lightbox-picture:not(.fit)")) return;
      if (event.key === "ArrowLeft" && count > 1) turn(-1);
      else if (event.key === "ArrowRight" && count > 1) turn(1);
      else if (event.key === "[") steps?.turn(-1);
      else if (event.key === "]") steps?.turn(1);
      else if (event.key === "j" && onRun) onRun(1);
      else if (event.key === "k" && onRun) onRun(-1);
      else if (event.key === "c" && (isPicture || pinned.peek() !== null)) pin();
      else return;
      event.preventDefault();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  });
  if (item === undefined) return null;
  const isTable = value.type === "table-file";
  const isChart = isTable && chartOf(item.about) !== null; // It has its caption as title.
  const a = pinned.value;
  return (
    <Dialog title={value.metric} className="lightbox" onClose={onClose}>
      {isTable ? (
        <TableValue project={run.project} value={value} isSmall={false} isLarge tables={tables} onOpen={() => undefined} />
      ) : a !== null && isPicture ? (
        <Compare a={a} b={{ item, name, where }} hidden={hidden} />
      ) : (
        <Content key={item.url || item.id} item={item} name={name} hidden={hidden} />
      )}
      {item.caption !== "" && !isChart && <p class="lightbox-caption">{item.caption}</p>}
      <div class="lightbox-foot">
        {count > 1 && (
          <span class="lightbox-turn">
            <button type="button" aria-label="Previous item" onClick={() => turn(-1)}>
              <Icon name="left" />
            </button>
            <span class="fact">{`${at + 1} of ${count}`}</span>
            <button type="button" aria-label="Next item" onClick={() => turn(1)}>
              <Icon name="right" />
            </button>
          </span>
        )}
        {onRun && <Turn what="run" keys="k and j" onTurn={onRun} />}
        <span class="lightbox-run">
          <span class="swatch" style={{ background: runColor(run, theme.value) }} />
          <a href={pathOf({ page: "run", project: run.project, runId: run.run_id, tab: "media" })} onClick={onClose}>
            {run.name || run.run_id}
          </a>
        </span>
        {steps && (
          <Turn what="step" keys="[ and ]" onTurn={steps.turn} isFirst={!steps.hasPrevious} isLast={!steps.hasNext} />
        )}
        <span class="fact">
          {`step ${value.step}${value.label === "" ? "" : `, ${value.label}`}`}
        </span>
        <span class="fact">{itemFacts(item)}</span>
        {(isPicture || a !== null) && (
          <button
            type="button"
            aria-pressed={a !== null}
            title="Keep this picture as A and go to another step, run or item: C"
            onClick={pin}
          >
            Compare
          </button>
        )}
        {item.url !== "" && !isTable && (
          <a class="button" href={downloadUrl(item.url)} download>
            Download
          </a>
        )}
      </div>
    </Dialog>
  );
}

interface TurnProps {
  what: string;
  keys: string;
  onTurn(by: number): void;
  isFirst?: boolean;
  isLast?: boolean;
}

function Turn({ what, keys, onTurn, isFirst = false, isLast = false }: TurnProps) {
  return (
    <span class="lightbox-turn">
      <button type="button" aria-label={`Previous ${what}`} title={`Keys: ${keys}`} disabled={isFirst} onClick={() => onTurn(-1)}>
        <Icon name="left" />
      </button>
      <button type="button" aria-label={`Next ${what}`} title={`Keys: ${keys}`} disabled={isLast} onClick={() => onTurn(1)}>
        <Icon name="right" />
      </button>
    </span>
  );
}

interface ContentProps {
  item: MediaItem;
  name: string;
  /** Groups of boxes and masks that are not drawn. */
  hidden: Signal<ReadonlySet<string>>;
}

function Content({ item, name, hidden }: ContentProps) {
  if (item.state !== "ready") return <p class={`media-state ${item.state}`}>{stateText(item)}</p>;
  switch (itemKind(item)) {
    case "image":
      return <ZoomedPicture item={item} name={name} hidden={hidden} />;
    case "html":
      // Without allow-same-origin its scripts have an origin of their own: no cookie, no hub.
      return <iframe class="lightbox-page" sandbox="allow-scripts" src={item.url} title={name} />;
    case "figure":
      return <Figure item={item} name={name} />;
    case "video":
      return <video controls playsInline src={item.url} aria-label={name} />;
    case "audio":
      return <audio controls src={item.url} aria-label={name} />;
    case "file":
      return <p class="fact">The browser cannot show files of this type.</p>;
  }
}

function ZoomedPicture({ item, name, hidden }: ContentProps) {
  const area = useRef<HTMLDivElement>(null);
  /** CSS pixels for one of the picture; null: as large as fits. */
  const zoom = useSignal<number | null>(null);
  const size = useSignal<Size | null>(null);
  const classes = useSignal<MaskClasses>(new Map());
  const isKnown = item.width > 0 && item.height > 0;
  const change = (factor: number) => {
    const fits = () => {
      const box = area.current?.getBoundingClientRect();
      return box ? Math.min(box.width / item.width, box.height / item.height) : 1;
    };
    zoom.value = Math.min(ZOOM_MAX, Math.max(ZOOM_MIN, (zoom.peek() ?? fits()) * factor));
  };
  useEffect(() => {
    const element = area.current;
    const wheel = (event: WheelEvent) => {
      if (!event.ctrlKey || !isKnown) return;
      event.preventDefault();
      change(event.deltaY < 0 ? ZOOM_FACTOR : 1 / ZOOM_FACTOR);
    };
    element?.addEventListener("wheel", wheel, { passive: false });
    return () => element?.removeEventListener("wheel", wheel);
  }, []);
  const scale = zoom.value;
  const groups = size.value === null ? [] : boxGroups(item.about, size.value);
  const isSharp = isTiny(item) || (scale !== null && scale > 2);
  return (
    <>
      {isKnown && (
        <div class="lightbox-zoom" role="group" aria-label="Zoom">
          <button type="button" aria-label="Zoom out" onClick={() => change(1 / ZOOM_FACTOR)}>−</button>
          <button type="button" aria-label="Zoom in" onClick={() => change(ZOOM_FACTOR)}>+</button>
          <button type="button" aria-pressed={scale === null} onClick={() => (zoom.value = null)}>Fit</button>
          <button type="button" aria-pressed={scale === 1} onClick={() => (zoom.value = 1)}>1:1</button>
          {scale !== null && <span class="fact">{`${Math.round(scale * 100)} %`}</span>}
        </div>
      )}
      <div
        ref={area}
        tabIndex={0}
        role="region"
        aria-label="Picture"
        class={`lightbox-picture ${scale === null ? "fit" : ""} ${isSharp ? "sharp" : ""}`}
        style={scale === null ? {} : { "--picture-width": `${Math.round(item.width * scale)}px` }}
      >
        <BoxedPicture
          item={item}
          name={name}
          words="all"
          hidden={hidden}
          onSize={(found) => (size.value = found)}
          onClasses={(mask, found) => (classes.value = new Map(classes.peek()).set(mask, found))}
        />
      </div>
      <MaskSwitches masks={item.masks} pictures={[classes.value]} hidden={hidden} />
      <BoxSwitches pictures={[groups]} hidden={hidden} />
    </>
  );
}
