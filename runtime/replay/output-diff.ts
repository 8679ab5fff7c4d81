/**
 * The outputs of a replay beside those that were published, as both come: equal, changed, added (only the replay gives
 * them) or missing (only published).
 *
 * Both sides are in the order of the log. As long as they agree they are compared head by head, byte for byte. Where they
 * do not, the one that is behind in the log is set aside until its like comes on the other side. What is set aside is
 * bounded: an output whose like comes later than that counts as missing here and added there.
 */
import {
  type ComparedOutput,
  type CompareOptions,
  comparePlaces,
  differingFields,
  matchName,
  type OutputEvent,
  readOutput,
  readPlace,
  sameBytes,
} from "./compared-output.ts";

export type DifferenceClass = "changed" | "added" | "missing";

/** One difference, as `--diff` writes it. */
export interface OutputDifference {
  readonly class: DifferenceClass;
  readonly partition: number;
  readonly type: string | null;
  readonly key: string | null;
  /** Of a changed one: what differs. */
  readonly fields?: readonly string[];
  /** As published, and as the replay gives it. */
  readonly published?: unknown;
  readonly replayed?: unknown;
}

export interface DiffCounts {
  equal: number;
  changed: number;
  added: number;
  missing: number;
}

export interface OutputDiffOptions extends CompareOptions {
  readonly partition: number;
  readonly onDifference: (difference: OutputDifference) => void;
  /** Outputs of one side set aside. Default 100,000. */
  readonly asideMax?: number;
  /** Bytes of one side set aside. Default 64 MiB. */
  readonly asideBytesMax?: number;
}

interface Item {
  readonly payload: Uint8Array;
  /** `undefined`: not read yet; `null`: nothing of Tidemark's. */
  event: OutputEvent | null | undefined;
}

type Class = "added" | "missing";

const ASIDE_MAX = 100_000;
const ASIDE_BYTES_MAX = 64 * 1024 * 1024;

export class OutputDiff {
  readonly counts: DiffCounts = { equal: 0, changed: 0, added: 0, missing: 0 };
  readonly #options: OutputDiffOptions;
  readonly #replayed: Side;
  readonly #published: Side;

  constructor(options: OutputDiffOptions) {
    this.#options = options;
    const { asideMax = ASIDE_MAX, asideBytesMax = ASIDE_BYTES_MAX } = options;
    this.#replayed = new Side("added", asideMax, asideBytesMax, options);
    this.#published = new Side("missing", asideMax, asideBytesMax, options);
  }

  replayed(outputs: readonly ComparedOutput[]): void {
    this.#replayed.add(outputs);
    this.#advance();
  }

  published(outputs: readonly ComparedOutput[]): void {
    this.#published.add(outputs);
    this.#advance();
  }

  /** Outputs of the replay that wait for what was published, and the other way round. */
  get waiting(): { readonly replayed: number; readonly replayedBytes: number; readonly published: number } {
    return { replayed: this.#replayed.length, replayedBytes: this.#replayed.bytes, published: this.#published.length };
  }

  /** The replay gives no more. */
  endReplayed(): void {
    this.#end(this.#replayed);
  }

  /** No more was published. */
  endPublished(): void {
    this.#end(this.#published);
  }

  #end(side: Side): void {
    side.ended = true;
    this.#advance();
    if (!this.#replayed.ended || !this.#published.ended) return;
    for (const one of [this.#published, this.#replayed]) for (const item of one.takeAside()) this.#alone(one, item);
  }

  #advance(): void {
    const replayed = this.#replayed;
    const published = this.#published;
    for (let a = replayed.head, b = published.head; a !== undefined && b !== undefined; a = replayed.head, b = published.head) {
      if (sameBytes(a.payload, b.payload, this.#options)) {
        this.counts.equal++;
        replayed.shift();
        published.shift();
        continue;
      }
      const order = this.#options.ignorePosition ? 0 : orderOf(a, b);
      if (order <= 0) this.#settle(replayed, published);
      if (order >= 0) this.#settle(published, replayed);
    }
    // Beside a side that has ended nothing has to wait for its like.
    while (published.ended && replayed.length > 0) this.#settle(replayed, published);
    while (replayed.ended && published.length > 0) this.#settle(published, replayed);
  }

  /** The head of one side finds its like on the other, or is set aside. */
  #settle(side: Side, other: Side): void {
    const item = side.shift();
    const like = other.takeLike(item);
    if (like !== undefined) this.#compare(side === this.#replayed ? item : like, side === this.#replayed ? like : item);
    else for (const gone of side.setAside(item)) this.#alone(side, gone);
  }

  #compare(replayed: Item, published: Item): void {
    const a = eventOf(replayed)!;
    const b = eventOf(published)!;
    const fields = differingFields(b, a, this.#options);
    if (fields.length === 0) {
      this.counts.equal++;
      return;
    }
    this.counts.changed++;
    this.#tell({ class: "changed", ...this.#about(a), fields, published: b, replayed: a });
  }

  #alone(side: Side, item: Item): void {
    const event = eventOf(item);
    const content = event ?? Buffer.from(item.payload).toString("base64");
    this.counts[side.class]++;
    const shown = side.class === "added" ? { replayed: content } : { published: content };
    this.#tell({ class: side.class, ...this.#about(event), ...shown });
  }

  #about(event: OutputEvent | null): Pick<OutputDifference, "partition" | "type" | "key"> {
    return { partition: this.#options.partition, type: event?.type ?? null, key: event?.subject ?? null };
  }

  #tell(difference: OutputDifference): void {
    this.#options.onDifference(difference);
  }
}

/** Outputs of one side: those not looked at yet, in order, and those set aside, by name. */
class Side {
  readonly class: Class;
  readonly #asideMax: number;
  readonly #asideBytesMax: number;
  readonly #options: CompareOptions;
  /** Those before `#at` were looked at. */
  #queue: Item[] = [];
  #at = 0;
  bytes = 0;
  ended = false;
  /** In the order in which they were set aside. */
  readonly #aside = new Map<string, Item[]>();
  #asideCount = 0;
  #asideBytes = 0;

  constructor(kind: Class, asideMax: number, asideBytesMax: number, options: CompareOptions) {
    this.class = kind;
    this.#asideMax = asideMax;
    this.#asideBytesMax = asideBytesMax;
    this.#options = options;
  }

  add(outputs: readonly ComparedOutput[]): void {
    for (const { payload } of outputs) {
      this.#queue.push({ payload, event: undefined });
      this.bytes += payload.length;
    }
  }

  get length(): number {
    return this.#queue.length - this.#at;
  }

  get head(): Item | undefined {
    return this.#queue[this.#at];
  }

  shift(): Item {
    const item = this.#queue[this.#at++]!;
    this.bytes -= item.payload.length;
    if (this.#at >= 1_024 && this.#at * 2 >= this.#queue.length) {
      this.#queue = this.#queue.slice(this.#at);
      this.#at = 0;
    }
    return item;
  }

  /** Gives those that have no place any more, oldest first. */
  setAside(item: Item): Item[] {
    const name = this.#nameOf(item);
    if (name === undefined) return [item];
    const same = this.#aside.get(name);
    if (same === undefined) this.#aside.set(name, [item]);
    else same.push(item);
    this.#asideCount++;
    this.#asideBytes += item.payload.length;
    const gone: Item[] = [];
    while (this.#asideCount > this.#asideMax || this.#asideBytes > this.#asideBytesMax) {
      const [oldest] = this.#aside as unknown as Iterable<[string, Item[]]>;
      gone.push(this.#take(oldest![0], 0));
    }
    return gone;
  }

  /** Of several with the name of `item` the one at its position, else the first. */
  takeLike(item: Item): Item | undefined {
    const name = this.#nameOf(item);
    const same = name === undefined ? undefined : this.#aside.get(name);
    if (same === undefined) return undefined;
    const position = eventOf(item)!.position;
    return this.#take(
      name!,
      Math.max(
        0,
        same.findIndex((other) => eventOf(other)!.position === position),
      ),
    );
  }

  takeAside(): Item[] {
    const left = [...this.#aside.values()].flat();
    this.#aside.clear();
    return left;
  }

  #take(name: string, at: number): Item {
    const same = this.#aside.get(name)!;
    const [item] = same.splice(at, 1) as [Item];
    if (same.length === 0) this.#aside.delete(name);
    this.#asideCount--;
    this.#asideBytes -= item.payload.length;
    return item;
  }

  #nameOf(item: Item): string | undefined {
    const event = eventOf(item);
    return event === null ? undefined : matchName(event, this.#options);
  }
}

function eventOf(item: Item): OutputEvent | null {
  item.event ??= readOutput(item.payload) ?? null;
  return item.event;
}

/** A foreign message has no place: it goes first, and alone. */
function orderOf(a: Item, b: Item): number {
  const left = readPlace(eventOf(a)?.position ?? "");
  const right = readPlace(eventOf(b)?.position ?? "");
  if (left === undefined || right === undefined) return left === right ? 0 : left === undefined ? -1 : 1;
  return comparePlaces(left, right);
}
