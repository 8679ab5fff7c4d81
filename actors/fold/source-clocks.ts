/**
 * The clocks of a pump's source partitions as one shard knows them, and the row that they are kept in. The watermark of
 * a log that pumps feed is the least of them.
 *
 * A source partition is idle only while its pump says so: a pump that is behind says nothing, and its source holds the
 * others. Where nothing ever came and the source is idle, there is no time to go on from: it is left out until something
 * comes.
 */
import { ByteReader, ByteWriter } from "../model/bytes.ts";
import type { FoldSettings } from "../model/job.ts";
import type { PumpLink } from "./pump-entry.ts";

interface Clock {
  watermark: number | undefined;
  /** Processing time and watermark when it last brought something: idleness counts from there. */
  activeAt: number;
  activeWatermark: number | undefined;
  leftOut: boolean;
}

const FORMAT = 1;
const KNOWN = 1;
const WATERMARK = 2;
const ACTIVE_WATERMARK = 4;
const LEFT_OUT = 8;

export class SourceClocks {
  /** By source partition; as many as the source has, `undefined` where nothing was heard yet. */
  readonly #clocks: (Clock | undefined)[];

  constructor(clocks: (Clock | undefined)[] = []) {
    this.#clocks = clocks;
  }

  /** Of all source partitions the least; `undefined` while one has none. */
  get watermark(): number | undefined {
    let least: number | undefined;
    for (const clock of this.#clocks) {
      if (clock?.leftOut === true) continue;
      if (clock?.watermark === undefined) return undefined;
      if (least === undefined || clock.watermark < least) least = clock.watermark;
    }
    return least;
  }

  /** A valid event of the source partition. True when that moves its clock. */
  seen(source: number, time: number, { outOfOrdernessMs }: FoldSettings): boolean {
    const clock = this.#clocks[source];
    return clock !== undefined && raise(clock, time - outOfOrdernessMs);
  }

  /** Begins an entry of a source partition. */
  open(source: number, { of }: PumpLink, processingTime: number): void {
    while (this.#clocks.length < Math.max(of, source + 1)) this.#clocks.push(undefined);
    this.#clocks[source] ??= { watermark: undefined, activeAt: processingTime, activeWatermark: undefined, leftOut: false };
  }

  /** What the entry says of its source partition, behind all that it brought. */
  close(source: number, link: PumpLink, processingTime: number, settings: FoldSettings): void {
    const clock = this.#clocks[source]!;
    if (link.time !== undefined) raise(clock, link.time - settings.outOfOrdernessMs);
    if (link.watermark !== undefined) raise(clock, link.watermark);
    if (link.idle !== true) {
      clock.activeAt = processingTime;
      clock.activeWatermark = clock.watermark;
      return;
    }
    const idle = processingTime - clock.activeAt - settings.idleAfterMs;
    if (settings.idle === "hold" || idle <= 0) return;
    if (clock.watermark === undefined) clock.leftOut = true;
    else if (clock.activeWatermark !== undefined)
      raise(clock, Math.min(clock.activeWatermark + idle, processingTime - settings.outOfOrdernessMs));
  }

  write(): Uint8Array {
    const writer = new ByteWriter();
    writer.u8(FORMAT);
    writer.uint(this.#clocks.length);
    for (const clock of this.#clocks) {
      if (clock === undefined) {
        writer.u8(0);
        continue;
      }
      const { watermark, activeAt, activeWatermark, leftOut } = clock;
      const flags = [KNOWN, watermark !== undefined && WATERMARK, activeWatermark !== undefined && ACTIVE_WATERMARK, leftOut && LEFT_OUT];
      writer.u8(flags.reduce<number>((sum, flag) => sum + (flag || 0), 0));
      writer.f64(activeAt);
      if (watermark !== undefined) writer.f64(watermark);
      if (activeWatermark !== undefined) writer.f64(activeWatermark);
    }
    return writer.finish();
  }

  static read(bytes: Uint8Array): SourceClocks {
    const reader = new ByteReader(bytes);
    const format = reader.u8();
    if (format !== FORMAT) throw new RangeError(`a row of source clocks has format ${format}`);
    const clocks = Array.from({ length: reader.uint() }, (): Clock | undefined => {
      const flags = reader.u8();
      if (flags === 0) return undefined;
      const activeAt = reader.f64();
      const watermark = flags & WATERMARK ? reader.f64() : undefined;
      const activeWatermark = flags & ACTIVE_WATERMARK ? reader.f64() : undefined;
      return { watermark, activeAt, activeWatermark, leftOut: (flags & LEFT_OUT) !== 0 };
    });
    return new SourceClocks(clocks);
  }
}

function raise(clock: Clock, to: number): boolean {
  if (clock.watermark !== undefined && to <= clock.watermark) return false;
  clock.watermark = to;
  clock.leftOut = false;
  return true;
}
