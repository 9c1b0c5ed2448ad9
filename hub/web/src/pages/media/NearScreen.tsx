/** Content that is drawn only near the screen. Far from it, a box of the same height stays. */
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

const MARGIN = "600px";
const HEIGHT_FIRST = 180;

interface NearScreenProps {
  onNear(isNear: boolean): void;
  children: () => ComponentChildren;
}

export function NearScreen({ onNear, children }: NearScreenProps) {
  const box = useRef<HTMLDivElement>(null);
  const isNear = useSignal(false);
  const height = useSignal(HEIGHT_FIRST);
  const tell = useRef(onNear);
  tell.current = onNear;
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const observer = new IntersectionObserver(
      (entries) => {
        const entry = entries.at(-1); // One for each crossing since the last call: the last counts.
        if (entry === undefined || entry.isIntersecting === isNear.peek()) return;
        if (!entry.isIntersecting) height.value = element.offsetHeight;
        isNear.value = entry.isIntersecting;
        tell.current(entry.isIntersecting);
      },
      { rootMargin: MARGIN },
    );
    observer.observe(element);
    return () => {
      observer.disconnect();
      if (isNear.peek()) tell.current(false);
    };
  }, []);
  return (
    <div ref={box} style={isNear.value ? {} : { height: `${height.value}px` }}>
      {isNear.value && children()}
    </div>
  );
}
