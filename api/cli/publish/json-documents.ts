/**
 * Cuts a stream of bytes into JSON documents: one a line, or the elements of one JSON array. It looks for where documents
 * end and leaves reading them to others, so it passes bytes on as they are. Memory is bound by one chunk and one document.
 */
import { TidemarkError } from "../../../runtime/errors.ts";

export interface DocumentText {
  /** Line on which it begins, from 1. */
  readonly line: number;
  /** Undefined when it is longer than the bound: it was skipped. */
  readonly bytes: Uint8Array | undefined;
}

/** What a chunk of the input held. */
export interface DocumentBlock {
  readonly documents: readonly DocumentText[];
  /** Bytes of the input read so far. */
  readonly bytesRead: number;
}

interface Cutter {
  /** Documents that end in this chunk. */
  cut(chunk: Uint8Array): DocumentText[];
  /** What is left when the input has ended. */
  end(): DocumentText[];
}

const LF = 0x0a;
const BLANKS = new Set([0x20, 0x09, 0x0d, LF]);
const [QUOTE, BACKSLASH, COMMA, OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = Buffer.from('"\\,[]{}') as unknown as [
  number,
  number,
  number,
  number,
  number,
  number,
  number,
];
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);

/** Documents of `input`. Fails with INPUT_INVALID when a JSON array is none. Empty lines are no documents. */
export async function* jsonDocuments(input: AsyncIterable<Uint8Array>, documentBytesMax: number): AsyncGenerator<DocumentBlock> {
  let cutter: Cutter | undefined;
  let head = Buffer.alloc(0);
  let bytesRead = 0;
  for await (const piece of input) {
    bytesRead += piece.length;
    let chunk: Uint8Array = piece;
    if (cutter === undefined) {
      head = Buffer.concat([head, piece]);
      const start = startOf(head);
      if (start === undefined) continue;
      cutter = head[start] === OPEN_LIST ? new ArrayCutter(documentBytesMax) : new LineCutter(documentBytesMax);
      chunk = head.subarray(0, 3).equals(BYTE_ORDER_MARK) ? head.subarray(3) : head;
      head = Buffer.alloc(0);
    }
    yield { documents: cutter.cut(chunk), bytesRead };
  }
  // An input of blanks alone was never given to a cutter: there is nothing in it.
  yield { documents: cutter?.end() ?? [], bytesRead };
}

/** Where the first document begins; undefined when the bytes do not tell yet. */
function startOf(head: Uint8Array): number | undefined {
  const marked = head.length >= 3 && Buffer.from(head.subarray(0, 3)).equals(BYTE_ORDER_MARK);
  if (!marked && head.length < 3 && BYTE_ORDER_MARK.subarray(0, head.length).equals(head)) return undefined;
  for (let at = marked ? 3 : 0; at < head.length; at++) if (!BLANKS.has(head[at]!)) return at;
  return undefined;
}

/** The bytes of a document that began in an earlier chunk. */
class Parts {
  readonly #max: number;
  #parts: Uint8Array[] = [];
  #length = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get length(): number {
    return this.#length;
  }

  /** Bytes beyond the bound are counted and not kept. */
  add(part: Uint8Array): void {
    this.#length += part.length;
    if (this.#length > this.#max) this.#parts = [];
    else if (part.length > 0) this.#parts.push(part);
  }

  take(): Uint8Array | undefined {
    const bytes = this.#length > this.#max ? undefined : this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts);
    this.#parts = [];
    this.#length = 0;
    return bytes;
  }
}

class LineCutter implements Cutter {
  readonly #parts: Parts;
  #line = 1;

  constructor(max: number) {
    this.#parts = new Parts(max);
  }

  cut(chunk: Uint8Array): DocumentText[] {
    const found: DocumentText[] = [];
    let from = 0;
    for (let at = chunk.indexOf(LF); at !== -1; at = chunk.indexOf(LF, from)) {
      this.#parts.add(chunk.subarray(from, at));
      this.#take(found);
      this.#line++;
      from = at + 1;
    }
    this.#parts.add(chunk.subarray(from));
    return found;
  }

  end(): DocumentText[] {
    const found: DocumentText[] = [];
    this.#take(found);
    return found;
  }

  #take(found: DocumentText[]): void {
    if (this.#parts.length === 0) return;
    const bytes = this.#parts.take();
    if (bytes?.every((byte) => BLANKS.has(byte)) !== true) found.push({ line: this.#line, bytes });
  }
}

class ArrayCutter implements Cutter {
  readonly #parts: Parts;
  #line = 1;
  /** 0 before the array, 1 between its elements, more inside an element. */
  #depth = 0;
  #inString = false;
  #escaped = false;
  /** An element has begun, on this line. */
  #began: number | undefined;
  /** A comma came, or nothing yet: an element may follow. */
  #mayBegin = true;
  #elements = 0;
  #over = false;

  constructor(max: number) {
    this.#parts = new Parts(max);
  }

  cut(chunk: Uint8Array): DocumentText[] {
    const found: DocumentText[] = [];
    let from = 0;
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at]!;
      if (byte === LF) this.#line++;
      if (this.#inString) this.#inText(byte);
      else if (this.#began === undefined) from = this.#between(byte, at);
      else if (byte === QUOTE) this.#inString = true;
      else if (byte === OPEN_LIST || byte === OPEN_OBJECT) this.#depth++;
      else if (this.#depth === 1 && (byte === COMMA || byte === CLOSE_LIST)) {
        this.#parts.add(chunk.subarray(from, at));
        found.push({ line: this.#began, bytes: this.#parts.take() });
        this.#began = undefined;
        this.#elements++;
        this.#mayBegin = byte === COMMA;
        this.#over = byte === CLOSE_LIST;
      } else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) {
        this.#depth--;
        if (this.#depth < 1) throw this.#invalid("a bracket closes what none opened");
      }
    }
    if (this.#began !== undefined) this.#parts.add(chunk.subarray(from));
    return found;
  }

  end(): DocumentText[] {
    if (!this.#over) throw this.#invalid("the array has no end");
    return [];
  }

  #inText(byte: number): void {
    if (this.#escaped) this.#escaped = false;
    else if (byte === BACKSLASH) this.#escaped = true;
    else if (byte === QUOTE) this.#inString = false;
  }

  /** Before the array, between its elements, or behind it. Returns where an element that begins here begins. */
  #between(byte: number, at: number): number {
    if (BLANKS.has(byte)) return at;
    if (this.#over) throw this.#invalid("something stands behind the array");
    if (this.#depth === 0) {
      this.#depth = 1;
      return at;
    }
    if (byte === CLOSE_LIST && (!this.#mayBegin || this.#elements === 0)) {
      this.#over = true;
      return at;
    }
    if (!this.#mayBegin || byte === COMMA || byte === CLOSE_LIST || byte === CLOSE_OBJECT)
      throw this.#invalid("an element was expected here");
    this.#began = this.#line;
    if (byte === QUOTE) this.#inString = true;
    else if (byte === OPEN_LIST || byte === OPEN_OBJECT) this.#depth++;
    return at;
  }

  #invalid(what: string): TidemarkError {
    return new TidemarkError("INPUT_INVALID", `Line ${this.#line} of the JSON array: ${what}.`);
  }
}
