/**
 * Rasteriser: lines, bands and densities of many series, straight into pixels.
 *
 * Integer column spans into a Uint32 view of ImageData. Without a graphics card this is several
 * times faster than paths of a canvas, and the pixels are the same on every platform. Lines have
 * no anti-aliasing, which is why few series are stroked instead.
 */

/** "#rrggbb" as the number that a little-endian Uint32 view of ImageData holds. */
export function packColor(hex: string, alpha = 255): number {
  const value = Number.parseInt(hex.slice(1, 7), 16);
  return ((alpha << 24) | ((value & 255) << 16) | (value & 0xff00) | ((value >> 16) & 255)) >>> 0;
}

export class Raster {
  constructor(
    readonly pixels: Uint32Array,
    readonly width: number,
    readonly height: number,
  ) {}

  /** A line through n points (pixels, x ascending); NaN and a set gap flag end it. */
  line(
    xs: Float32Array,
    ys: Float32Array,
    n: number,
    color: number,
    gaps: Uint8Array | null = null,
    gapsFrom = 0,
  ): void {
    const { pixels, width, height } = this;
    eachSpan(xs, ys, n, gaps, gapsFrom, width, height, (column, top, bottom) => {
      for (let at = top * width + column, end = bottom * width + column; at <= end; at += width)
        pixels[at] = color;
    });
  }

  /** Translucent columns between low and high; a bucket reaches half-way to its neighbours. */
  band(
    xs: Float32Array,
    low: Float32Array,
    high: Float32Array,
    n: number,
    color: number,
    alpha: number,
    gaps: Uint8Array | null = null,
    gapsFrom = 0,
  ): void {
    const { pixels, width, height } = this;
    const plain = ((alpha << 24) | (color & 0xffffff)) >>> 0;
    const red = color & 255;
    const green = (color >> 8) & 255;
    const blue = (color >> 16) & 255;
    const { totals, shares } = blendTables(alpha);
    const fill = (column: number, y0: number, y1: number): void => {
      const above = y0 < y1 ? y0 : y1;
      const below = y0 < y1 ? y1 : y0;
      const top = above < 0 ? 0 : Math.floor(above);
      const bottom = below >= height ? height - 1 : Math.floor(below);
      let at = top * width + column;
      for (let row = top; row <= bottom; row++, at += width) {
        const under = pixels[at]!;
        if (under === 0) {
          pixels[at] = plain;
          continue;
        }
        const share = shares[under >>> 24]!;
        const r = under & 255;
        const g = (under >> 8) & 255;
        const b = (under >> 16) & 255;
        pixels[at] =
          ((totals[under >>> 24]! << 24) |
            ((b + (((blue - b) * share) >> 8)) << 16) |
            ((g + (((green - g) * share) >> 8)) << 8) |
            (r + (((red - r) * share) >> 8))) >>>
          0;
      }
    };
    for (let i = 0; i < n - 1; i++) {
      const [x0, x1] = [xs[i]!, xs[i + 1]!];
      const [l0, h0, l1, h1] = [low[i]!, high[i]!, low[i + 1]!, high[i + 1]!];
      if (
        !(l0 + h0 + l1 + h1 + x0 + x1 < Infinity) ||
        (gaps !== null && gaps[gapsFrom + i + 1] === 1)
      )
        continue;
      const from = Math.max(0, Math.floor(x0));
      const to = Math.min(width - 1, Math.floor(x1) - 1);
      const span = x1 - x0;
      // Within one pixel column the buckets' spans join; the last of them draws the column.
      if (to < from) {
        if (Math.floor(x0) === Math.floor(x1) && i + 1 < n - 1) {
          low[i + 1] = Math.max(l0, l1);
          high[i + 1] = Math.min(h0, h1);
        } else if (from < width && x0 >= 0) fill(from, Math.max(l0, l1), Math.min(h0, h1));
        continue;
      }
      for (let column = from; column <= to; column++) {
        const t = Math.min(1, Math.max(0, (column + 0.5 - x0) / span));
        fill(column, l0 + (l1 - l0) * t, h0 + (h1 - h0) * t);
      }
    }
  }
}

/**
 * For a colour of `alpha` over a pixel with straight alpha: by the pixel's alpha, the alpha of both
 * together, and the colour's share in 256ths.
 */
function blendTables(alpha: number): { totals: Uint8Array; shares: Uint16Array } {
  const totals = new Uint8Array(256);
  const shares = new Uint16Array(256);
  for (let under = 0; under < 256; under++) {
    const total = alpha + (under * (255 - alpha)) / 255;
    totals[under] = Math.round(total);
    shares[under] = Math.round((256 * alpha) / total);
  }
  return { totals, shares };
}

/** Calls `draw` with each column's span of rows that a line covers, clipped to the picture. */
function eachSpan(
  xs: Float32Array,
  ys: Float32Array,
  n: number,
  gaps: Uint8Array | null,
  gapsFrom: number,
  width: number,
  height: number,
  draw: (column: number, top: number, bottom: number) => void,
): void {
  const bottomMost = height - 1;
  const span = (column: number, a: number, b: number): void => {
    let top = a < b ? a : b;
    let bottom = a < b ? b : a;
    if (bottom < 0 || top >= height) return;
    top = top < 0 ? 0 : Math.floor(top);
    bottom = bottom > bottomMost ? bottomMost : Math.floor(bottom);
    draw(column, top, bottom);
  };
  let joined = false;
  for (let i = 0; i < n; i++) {
    const [x1, y1] = [xs[i]!, ys[i]!];
    const whole = x1 - x1 === 0 && y1 - y1 === 0;
    const joins = i > 0 && whole && joined && !(gaps !== null && gaps[gapsFrom + i] === 1);
    const next =
      i + 1 < n &&
      ys[i + 1]! - ys[i + 1]! === 0 &&
      !(gaps !== null && gaps[gapsFrom + i + 1] === 1);
    joined = whole;
    if (!whole) continue;
    if (!joins) {
      // A point without neighbours would be invisible: a dot of 3 by 3 pixels.
      const column = Math.floor(x1);
      // Far beside the picture, column + 1 may be the same number: a loop to it has no end.
      if (!next && column >= -1 && column <= width)
        for (let c = column - 1; c <= column + 1; c++)
          if (c >= 0 && c < width) span(c, y1 - 1, y1 + 1);
      continue;
    }
    const [x0, y0] = [xs[i - 1]!, ys[i - 1]!];
    if (x1 < 0 || x0 >= width) continue;
    const first = Math.floor(x0);
    const last = Math.floor(x1);
    if (first === last) {
      span(first, y0, y1);
      continue;
    }
    const slope = (y1 - y0) / (x1 - x0);
    const from = first < 0 ? 0 : first;
    const to = last >= width ? width - 1 : last;
    let enter = from === first ? y0 : y0 + slope * (from - x0);
    for (let column = from; column <= to; column++) {
      const leave = column === last ? y1 : y0 + slope * (column + 1 - x0);
      span(column, enter, leave);
      enter = leave;
    }
  }
}

/** Adds up lines per pixel; in each column every line weighs the same, however steep it is. */
export class Density {
  private readonly weights: Float32Array;

  constructor(
    readonly width: number,
    readonly height: number,
  ) {
    this.weights = new Float32Array(width * height);
  }

  line(
    xs: Float32Array,
    ys: Float32Array,
    n: number,
    gaps: Uint8Array | null = null,
    gapsFrom = 0,
  ): void {
    const { weights, width, height } = this;
    eachSpan(xs, ys, n, gaps, gapsFrom, width, height, (column, top, bottom) => {
      const share = 1 / (bottom - top + 1);
      for (let at = top * width + column, end = bottom * width + column; at <= end; at += width)
        weights[at]! += share;
    });
  }

  /**
   * A line as steps: each column has the value of the nearest point within `reach` pixels. All runs
   * have their buckets at the same x, and between them straight lines come closer together, which
   * would look like stripes.
   */
  steps(xs: Float32Array, ys: Float32Array, n: number, reach: number): void {
    const { weights, width, height } = this;
    for (let i = 0; i < n; i++) {
      const [x, y] = [xs[i]!, ys[i]!];
      if (!(y >= 0 && y < height) || x - x !== 0) continue;
      const before = i > 0 ? xs[i - 1]! : x - 1;
      const after = i + 1 < n ? xs[i + 1]! : x + 1;
      const from = Math.max(0, Math.ceil(Math.max((before + x) / 2, x - reach) - 0.5));
      const to = Math.min(width - 1, Math.ceil(Math.min((x + after) / 2, x + reach) - 0.5) - 1);
      const row = Math.floor(y) * width;
      for (let column = from; column <= to; column++) weights[row + column]! += 1;
    }
  }

  /** Colours by weight: `ramp` from sparse to dense, scaled to the 99th percentile. */
  paint(pixels: Uint32Array, ramp: Uint32Array): void {
    const { weights } = this;
    const dense = percentile(weights, 0.99);
    const steps = ramp.length - 1;
    for (let i = 0; i < weights.length; i++) {
      const weight = weights[i]!;
      if (weight > 0) pixels[i] = ramp[Math.round(steps * Math.sqrt(Math.min(1, weight / dense)))]!;
    }
  }
}

/** About the given percentile of the positive weights. */
function percentile(weights: Float32Array, share: number): number {
  let largest = 0;
  let count = 0;
  for (const weight of weights) {
    if (weight > 0) count++;
    if (weight > largest) largest = weight;
  }
  if (count === 0) return 1;
  const bins = new Uint32Array(1024);
  for (const weight of weights)
    if (weight > 0) bins[Math.min(1023, Math.floor((weight / largest) * 1023))]!++;
  let seen = 0;
  for (let bin = 0; bin < 1024; bin++) {
    seen += bins[bin]!;
    if (seen >= share * count) return Math.max(((bin + 1) / 1023) * largest, Number.MIN_VALUE);
  }
  return largest;
}

/** A ramp of colours through the given stops ("#rrggbb"), from translucent to opaque. */
export function densityRamp(stops: readonly string[], steps = 64): Uint32Array {
  const ramp = new Uint32Array(steps);
  const channels = stops.map((hex) => Number.parseInt(hex.slice(1, 7), 16));
  for (let i = 0; i < steps; i++) {
    const t = (i / (steps - 1)) * (stops.length - 1);
    const at = Math.min(stops.length - 2, Math.floor(t));
    const mix = (shift: number): number => {
      const [a, b] = [(channels[at]! >> shift) & 255, (channels[at + 1]! >> shift) & 255];
      return Math.round(a + (b - a) * (t - at));
    };
    const alpha = Math.round(90 + 165 * Math.min(1, (i / steps) * 2));
    ramp[i] = ((alpha << 24) | (mix(0) << 16) | (mix(8) << 8) | mix(16)) >>> 0;
  }
  return ramp;
}
