/** A mask over its picture, drawn on a canvas in the colours of the classes. */
import { useEffect, useRef } from "preact/hooks";

import type { MediaMask } from "../../api/types.js";
import type { ValueMap } from "../../api/values.js";
import { drawnSize, namesOf, paint, SIDE_MAX, SIDE_SMALL_MAX, type MaskClass } from "./masks.js";

interface MaskLayerProps {
  mask: MediaMask;
  /** All of the image: a mask may have no names of classes. */
  masks: readonly MediaMask[];
  /** That of the image. */
  about: ValueMap;
  isSmall: boolean;
  /** Called with the classes that are drawn; null if the mask did not load. */
  onClasses: ((name: string, classes: readonly MaskClass[] | null) => void) | undefined;
}

export function MaskLayer({ mask, masks, about, isSmall, onClasses }: MaskLayerProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    let isOld = false;
    const names = namesOf(mask, masks, about);
    draw(canvas.current!, mask, names, isSmall ? SIDE_SMALL_MAX : SIDE_MAX, () => isOld).then(
      (classes) => classes !== null && onClasses?.(mask.name, classes),
      () => !isOld && onClasses?.(mask.name, null),
    );
    return () => (isOld = true);
  }, [mask.url]);
  return <canvas ref={canvas} class="mask" data-mask={mask.name} />;
}

/** Draw the mask and return its classes; null if `isOld` came meanwhile. */
async function draw(
  canvas: HTMLCanvasElement,
  mask: MediaMask,
  names: ReadonlyMap<string, string>,
  most: number,
  isOld: () => boolean,
): Promise<MaskClass[] | null> {
  const answer = await fetch(mask.url);
  if (!answer.ok) throw new Error(answer.statusText);
  // The numbers of the classes must stay as they are.
  const picture = await createImageBitmap(await answer.blob(), { colorSpaceConversion: "none" });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (isOld() || context === null) {
    picture.close();
    return null;
  }
  [canvas.width, canvas.height] = drawnSize(picture.width, picture.height, most);
  context.imageSmoothingEnabled = false;
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  picture.close();
  const image = context.getImageData(0, 0, canvas.width, canvas.height);
  const classes = paint(image.data, names);
  context.putImageData(image, 0, 0);
  return classes;
}
