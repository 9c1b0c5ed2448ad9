/** Keep a drawing as large as its element, in the pixels of the screen; returns how to end it. */
export function followSize(
  element: HTMLElement,
  drawing: { resize(width: number, height: number, ratio: number): void },
): () => void {
  const resize = () =>
    drawing.resize(element.clientWidth, element.clientHeight, devicePixelRatio || 1);
  const observer = new ResizeObserver(resize);
  observer.observe(element);
  resize();
  return () => observer.disconnect();
}
