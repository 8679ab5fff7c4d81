/** The events of the benchmarks: about 200 bytes each, keys in a scattered order, in event-time order. */

import { formatInstant } from "../actors/model/time.ts";
import type { KeyedEvent } from "../runtime/log/log-publisher.ts";

const START = Date.UTC(2026, 5, 1);
/** Coprime to every key count used: consecutive events hit distant keys. */
const STRIDE = 7_919;

/** `stepMs`: of event time between two of them. */
export function readingOf(i: number, keys: number, stepMs = 1): KeyedEvent {
  const key = `device-${String((i * STRIDE) % keys).padStart(7, "0")}`;
  const text = `{"specversion":"1.0","id":"e-${i}","source":"/bench","type":"bench.reading","subject":"${key}","time":"${formatInstant(START + Math.floor(i * stepMs))}","data":{"deviceId":"${key}","value":${i % 100}}}`;
  return { key, payload: Buffer.from(text) };
}
