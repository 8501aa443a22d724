// Lines under clouds of points whose noise is one-sided: a packet can be late, but never early.
//
// A port of ext/pl_envelope.c: the same names, constants and order of the operations, so that both compute the same
// numbers. The reasons are in ext/pl_envelope.h. Both axes are in ns, as doubles relative to a base of the owner.

export const MAX_SLOPE = 1e-3;
export const NORMAL_SD = 1.4826;
const BUCKETS = 2048;
const MASK = BUCKETS - 1;
const LEAST = 4;
const EDGE_FACTOR = 0.8;
const SLOPE_FACTOR = 4;
const FLAT_FRACTION = 0.05;
const UNIFORM_SD = 0.3;
const CONTACT_BISECTIONS = 50;
const BIWEIGHT = 4.685;
const MIN_SCALE_NS = 2e3;
const REGRESSIONS = 5;

// The lower convex hull of the points of the last `window`. Of each `bucket` it keeps the lowest point only.
export class Hull {
  constructor(window, bucket) {
    this.window = window;
    this.bucket = bucket;
    this.x = new Float64Array(BUCKETS);
    this.y = new Float64Array(BUCKETS);
    this.vertex = new Int16Array(BUCKETS);
    this.clear();
  }

  clear() {
    this.head = this.count = this.vertices = 0;
    this.sumX = 0;
    this.open = false;
    this.openStart = this.openX = this.openY = 0;
  }

  // The ring's place of the closed bucket number `i`; the oldest is number 0.
  place(i) {
    return (this.head + i) & MASK;
  }

  oldestX() {
    return this.x[this.head];
  }

  newestX() {
    return this.x[this.place(this.count - 1)];
  }

  length() {
    return this.count ? this.newestX() - this.oldestX() : 0;
  }

  isNoCorner(p, q, r) {
    const { x, y } = this;
    return (y[q] - y[p]) * (x[r] - x[p]) >= (y[r] - y[p]) * (x[q] - x[p]);
  }

  pushVertex(place) {
    const v = this.vertex;
    while (this.vertices >= 2 && this.isNoCorner(v[this.vertices - 2], v[this.vertices - 1], place)) this.vertices--;
    v[this.vertices++] = place;
  }

  rebuild() {
    this.vertices = 0;
    for (let i = 0; i < this.count; i++) this.pushVertex(this.place(i));
  }

  removeOldest() {
    this.sumX -= this.x[this.head];
    this.head = (this.head + 1) & MASK;
    this.count--;
  }

  // Close the bucket being filled, so that a fit includes it.
  flush() {
    if (!this.open) return;
    this.open = false;
    while (this.count === BUCKETS || (this.count && this.x[this.head] < this.openX - this.window)) {
      const wasCorner = this.vertices && this.vertex[0] === this.head;
      this.removeOldest();
      if (wasCorner) this.rebuild();
    }
    const place = this.place(this.count);
    this.x[place] = this.openX;
    this.y[place] = this.openY;
    this.sumX += this.openX;
    this.count++;
    this.pushVertex(place);
  }

  // Remove the closed buckets before `x`.
  cut(x) {
    while (this.count && this.x[this.head] < x) this.removeOldest();
    this.rebuild();
  }

  // Add a point; points within one bucket are compared along `slope`.
  add(x, y, slope) {
    if (this.count && x <= this.newestX()) return; // a later packet overtook this one
    if (this.open && x - this.openStart < this.bucket) {
      if (y - slope * x < this.openY - slope * this.openX) {
        this.openX = x;
        this.openY = y;
      }
      return;
    }
    this.flush();
    this.open = true;
    this.openStart = this.openX = x;
    this.openY = y;
  }

  // The corner at which a line of this slope touches the hull from below.
  contact(slope) {
    const { x, y, vertex } = this;
    let first = 0;
    let last = this.vertices - 1;
    while (first < last) {
      const middle = (first + last) >> 1;
      const p = vertex[middle];
      const q = vertex[middle + 1];
      if (y[q] - y[p] < slope * (x[q] - x[p])) first = middle + 1;
      else last = middle;
    }
    return vertex[first];
  }
}

function edgeSd(h, slope) {
  const least = [Infinity, Infinity, Infinity, Infinity];
  for (let i = 0; i < h.count; i++) {
    const p = h.place(i);
    const residual = h.y[p] - slope * h.x[p];
    if (residual >= least[LEAST - 1]) continue;
    let k = LEAST - 1;
    for (; k && least[k - 1] > residual; k--) least[k] = least[k - 1];
    least[k] = residual;
  }
  if (h.count < LEAST) return Infinity;
  return EDGE_FACTOR * (least[LEAST - 1] - least[0]);
}

function clampSlope(slope) {
  return Math.max(-MAX_SLOPE, Math.min(MAX_SLOPE, slope));
}

// The slope and its deviation: the measured one and the prior, weighted by the inverse of their variances.
function combined(measured, sd, prior) {
  const priorVariance = prior.slopeSd * prior.slopeSd;
  const weight = Number.isFinite(sd) ? priorVariance / (priorVariance + sd * sd) : 0;
  const slope = clampSlope((Number.isFinite(measured) ? weight * measured : 0) + (1 - weight) * prior.slope);
  const slopeSd = Number.isFinite(sd) ? Math.sqrt(weight) * sd : prior.slopeSd;
  return { slope, slopeSd: Number.isFinite(slopeSd) ? slopeSd : prior.slopeSd };
}

function slopeWhere(above, below, ahead) {
  let low = -MAX_SLOPE;
  let high = MAX_SLOPE;
  for (let i = 0; i < CONTACT_BISECTIONS; i++) {
    const slope = 0.5 * (low + high);
    if (below.x[below.contact(-slope)] - above.x[above.contact(slope)] > ahead) low = slope;
    else high = slope;
  }
  return 0.5 * (low + high);
}

function middleSd(aboveSd, belowSd) {
  return 0.5 * Math.sqrt(aboveSd * aboveSd + belowSd * belowSd);
}

// The common line of two clouds: `above` lies above it; `below` holds the cloud below it with y negated. Null when
// either has no point yet. A line is {slope, slopeSd, meanX, value, edgeSd, halfGap}.
export function fitTwo(above, below, prior) {
  if (!above.count || !below.count) return null;
  const meanX = (above.sumX + below.sumX) / (above.count + below.count);
  const length = Math.min(above.length(), below.length());
  const flat = FLAT_FRACTION * length;
  const least = slopeWhere(above, below, flat);
  const most = slopeWhere(above, below, -flat);
  const measured = 0.5 * (least + most);
  const sd = middleSd(edgeSd(above, measured), edgeSd(below, -measured));
  const measuredSd = length > 0 ? Math.hypot((SLOPE_FACTOR * sd) / length, UNIFORM_SD * (most - least)) : Infinity;
  const { slope, slopeSd } = combined(measured, measuredSd, prior);
  const p = above.contact(slope);
  const q = below.contact(-slope);
  const upper = above.y[p] - slope * (above.x[p] - meanX);
  const lower = -below.y[q] - slope * (below.x[q] - meanX);
  return {
    slope,
    slopeSd,
    meanX,
    value: 0.5 * (upper + lower),
    halfGap: 0.5 * (upper - lower),
    edgeSd: middleSd(edgeSd(above, slope), edgeSd(below, -slope)),
  };
}

export function median(values) {
  const sorted = Float64Array.from(values).sort();
  return sorted[sorted.length >> 1];
}

// The line through points [x, y] whose noise is two-sided: regression by iteratively reweighted least squares with
// Tukey's biweight, with the slope drawn towards the prior. `correlated`: as many neighbours have the same error.
export function fitRobust(points, prior, correlated) {
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / points.length;
  let slope = prior.slope;
  let value = median(points.map(([x, y]) => y - slope * (x - meanX)));
  let scale = 0;
  let slopeVariance = 0;
  let weights = 0;
  for (let pass = 0; pass < REGRESSIONS; pass++) {
    const away = points.map(([x, y]) => Math.abs(y - value - slope * (x - meanX)));
    scale = Math.max(NORMAL_SD * median(away), MIN_SCALE_NS);
    let sw = 0, sx = 0, sy = 0, sxx = 0, sxy = 0;
    for (const [x, y] of points) {
      const dx = x - meanX;
      const dy = y - value;
      const u = (dy - slope * dx) / (BIWEIGHT * scale);
      const w = Math.abs(u) < 1 ? (1 - u * u) * (1 - u * u) : 0;
      sw += w;
      sx += w * dx;
      sy += w * dy;
      sxx += w * dx * dx;
      sxy += w * dx * dy;
    }
    if (sw <= 0) break;
    const pointVariance = scale * scale * correlated;
    const priorVariance = prior.slopeSd * prior.slopeSd;
    const information = (sxx - (sx * sx) / sw) / pointVariance + 1 / priorVariance;
    slope = ((sxy - (sx * sy) / sw) / pointVariance + prior.slope / priorVariance) / information;
    value += (sy - slope * sx) / sw;
    slopeVariance = 1 / information;
    weights = sw;
  }
  return {
    slope: clampSlope(slope),
    slopeSd: Math.sqrt(slopeVariance),
    meanX,
    value,
    edgeSd: scale * Math.sqrt(correlated / Math.max(weights, correlated)),
    halfGap: 0,
  };
}

export function fitAt(fit, x) {
  return fit.value + fit.slope * (x - fit.meanX);
}

// One standard deviation of that; Infinity while it is unknown.
export function fitDeviation(fit, x) {
  return Math.hypot(fit.edgeSd, fit.slopeSd * (x - fit.meanX));
}
