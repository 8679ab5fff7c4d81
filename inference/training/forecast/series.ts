/**
 * Hourly means of sensors as they are met: courses of a day in many shapes, drift, wandering levels, what is constant and
 * what is counted in steps; and what goes wrong with them: spikes, new levels, sensors that are stuck, hours without
 * readings. The same options always give the same series.
 */
import { cosineOf } from "../exact-math.ts";
import { Noise } from "../noise.ts";

/** `undefined` for an hour without readings. */
export interface Hour {
  readonly mean: number | undefined;
  /** What is wrong with it; a stuck one only from the second hour on, when it can be seen. */
  readonly fault: "spike" | "shift" | "stuck" | undefined;
}

interface Kind {
  readonly base: number;
  readonly unit: number;
  /** What the hours of the day add, in units. */
  readonly day: readonly number[];
  readonly weekend: number;
  readonly driftPerHour: number;
  readonly wander: number;
  readonly memory: number;
  readonly noise: number;
  /** Values are whole multiples of it; 0 for any. */
  readonly step: number;
}

const SPIKES = 0.004;
const SHIFTS = 0.0008;
const STUCK = 0.001;
const SILENCES = 0.002;

export function seriesOf(seed: number, hours: number): Hour[] {
  const noise = new Noise(seed);
  const kind = kindOf(noise);
  const course: Hour[] = [];
  let level = 0;
  let rest = 0;
  let shift = 0;
  let stuckFor = 0;
  let silentFor = 0;
  for (let hour = 0; hour < hours; hour++) {
    level += kind.driftPerHour + kind.wander * noise.normal();
    rest = kind.memory * rest + kind.noise * noise.normal();
    const isShift = noise.uniform() < SHIFTS;
    if (isShift) shift += sign(noise) * noise.within(2, 6);
    const isSpike = noise.uniform() < SPIKES;
    if (noise.uniform() < STUCK) stuckFor = Math.floor(noise.within(5, 30));
    if (noise.uniform() < SILENCES) silentFor = Math.floor(noise.within(1, 8));
    const daily = kind.day[hour % 24]! * (Math.floor(hour / 24) % 7 >= 5 ? kind.weekend : 1);
    const spike = isSpike ? sign(noise) * noise.within(3, 12) * (1 + kind.noise) : 0;
    const value = kind.base + kind.unit * stepped(level + rest + shift + daily + spike, kind.step);
    const before = course.at(-1)?.mean;
    const isStuck = stuckFor-- > 0 && before !== undefined;
    const fault = isStuck ? "stuck" : isSpike ? "spike" : isShift ? "shift" : undefined;
    course.push(silentFor-- > 0 ? { mean: undefined, fault: undefined } : { mean: isStuck ? before : value, fault });
  }
  return course;
}

function kindOf(noise: Noise): Kind {
  const calm = noise.uniform() < 0.08;
  const step = noise.uniform() < 0.1 ? noise.within(0.2, 1) : 0;
  return {
    base: noise.within(-100, 400) * noise.logNormal(0.7),
    unit: noise.logNormal(1.2),
    day: calm ? new Array<number>(24).fill(0) : dayOf(noise),
    weekend: noise.uniform() < 0.3 ? noise.within(0.1, 0.9) : 1,
    driftPerHour: noise.uniform() < 0.4 ? noise.within(-0.02, 0.02) : 0,
    wander: noise.uniform() < 0.35 ? noise.within(0.02, 0.4) : 0,
    memory: noise.uniform() < 0.5 ? noise.within(0.2, 0.95) : 0,
    noise: noise.uniform() < (calm ? 0.5 : 0.08) ? 0 : 0.2 * noise.logNormal(1.1),
    step,
  };
}

/** A wave, two of them, a shift of work, a parabola at noon, or nothing. */
function dayOf(noise: Noise): number[] {
  const size = 1.5 * noise.logNormal(0.6);
  const phase = noise.uniform();
  const form = noise.uniform();
  const hours = Array.from({ length: 24 }, (_, hour) => hour);
  if (form < 0.3) return hours.map((hour) => size * cosineOf(hour / 24 - phase));
  if (form < 0.5) {
    const second = noise.within(0.2, 1);
    const other = noise.uniform();
    return hours.map((hour) => size * (cosineOf(hour / 24 - phase) + second * cosineOf(hour / 12 - other)));
  }
  if (form < 0.7) {
    const from = noise.within(4, 10);
    const until = from + noise.within(6, 14);
    // Of the hours in which it begins and ends a part.
    return hours.map((hour) => 2 * size * Math.max(0, Math.min(until, hour + 1) - Math.max(from, hour)));
  }
  if (form < 0.85) return hours.map((hour) => size * 8 * (hour / 24) * (1 - hour / 24));
  return hours.map(() => 0);
}

function stepped(value: number, step: number): number {
  return step === 0 ? value : Math.round(value / step) * step;
}

function sign(noise: Noise): number {
  return noise.uniform() < 0.5 ? -1 : 1;
}
