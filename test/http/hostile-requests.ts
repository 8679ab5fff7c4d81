/** Requests that are more or less those of an operation: what is there, what is nearly right, and what means harm. */
import fc from "fast-check";
import type { Operation } from "../../api/http/openapi.ts";

export interface Sent {
  readonly method: string;
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | undefined;
}

/** Every byte percent-encoded, so that anything can be sent; what is no encoding at all stands as it is. */
const encoded = (text: string | Uint8Array) => [...Buffer.from(text)].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");

const NAMES = ["__proto__", "constructor", "toString", "hasOwnProperty", "prototype", "null", "undefined", "NaN", "true"];
const TEXTS = [
  "",
  ".",
  "..",
  "*",
  ">",
  "%",
  "\u0000",
  "\r\n",
  "a/b",
  "../../etc/passwd",
  "%{7*7}",
  "' OR 1=1 --",
  "<script>",
  "ﬀ",
  "🙂",
  "\u202e",
];
const NUMBERS = ["0", "-0", "-1", "1e3", "0x10", "1.5", "9007199254740993", "99999999999999999999", "1_000", "٣", "Infinity"];
const PLACES = [
  "0:1.0",
  "1:1.0",
  "0:0.0",
  "7:1.0",
  "0:99999999.0",
  "0:1",
  "0:-1.0",
  "2026-01-15T12:00:00.000Z",
  "meter.0.1",
  "meter.1.1",
  "meter.0.999",
];
/** Cursors that are nearly ones. */
const CURSORS = [
  { "meter/0": "1" },
  { "meter/0": 1e308, "meter/1": 0.5 },
  { partition: 1.5, slot: 0, after: "" },
  { partition: 0, slot: 0, after: 5 },
  { partition: 0, slot: 0, after: "a" },
].map((value) => Buffer.from(JSON.stringify(value)).toString("base64url"));

/** What is there, by the name of the parameter or field that may hold it. */
const KNOWN: Readonly<Record<string, readonly string[]>> = {
  cursor: CURSORS,
  after: ["0:1.0", "1:1.0"],
  effectiveFrom: ["2026-01-15T12:00:00.000Z"],
  id: ["meter.0.1", "meter.1.1", "meter.0.2"],
  job: ["meter"],
  key: ["a", "b", "a/b", "käse"],
  limit: ["1", "2", "1000"],
  log: ["meter"],
  prefix: ["a", "k"],
  shard: ["0", "1"],
  time: ["2026-01-15T12:00:00.000Z"],
  type: ["meter", "tidemark.quarantine"],
  version: ["1"],
};

const text = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...Object.values(KNOWN).flat()) },
  { weight: 2, arbitrary: fc.constantFrom(...PLACES) },
  fc.constantFrom(...NAMES, ...TEXTS, ...NUMBERS),
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.nat({ max: 3_000 }).map((length) => "x".repeat(length)),
  fc.json().map((json) => Buffer.from(json).toString("base64url")),
);
export const anyPiece = fc.oneof(
  { weight: 8, arbitrary: text.map(encoded) },
  fc.uint8Array({ minLength: 1, maxLength: 8 }).map(encoded),
  fc.constantFrom("%", "%zz", "%e2%82", "%FF", "%ED%A0%80", "%00"),
);

const jsonText = fc.oneof(
  fc.json(),
  fc.constantFrom(
    '{"__proto__":{"x":1}}',
    '{"constructor":{"prototype":{"x":1}}}',
    "[".repeat(10_000),
    `${"[".repeat(60)}${"]".repeat(60)}`,
    "1e999",
    '"\\ud800"',
    "{}",
    "",
  ),
);
export const anyBody = fc.oneof(
  jsonText.map((json) => Buffer.from(json)),
  fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  fc.constantFrom(Buffer.alloc(0), Buffer.alloc(300_000, "x"), Buffer.from([0xff, 0xfe, 0x7b, 0x00])),
);
const headerValue = fc.oneof(
  fc.string({ maxLength: 60 }).map((value) => value.replace(/[^\x20-\x7e]/g, "?")),
  fc.constantFrom(
    "application/json",
    "application/cloudevents+json",
    "text/plain; charset=utf-16",
    "multipart/form-data; boundary=x",
    "*/*",
    "0",
    "-1",
  ),
);
export const anyHeaders = fc.dictionary(
  fc.constantFrom(
    "accept",
    "authorization",
    "content-type",
    "content-encoding",
    "idempotency-key",
    "last-event-id",
    "ce-id",
    "ce-type",
    "ce-source",
    "ce-specversion",
    "ce-subject",
    "ce-time",
    "x-forwarded-for",
    "range",
    "if-none-match",
    "cookie",
  ),
  headerValue,
  { maxKeys: 6 },
);

/** What a parameter or field of this name may hold: mostly what is there, else anything. */
function valueFor(name: string): fc.Arbitrary<string> {
  const known = Object.hasOwn(KNOWN, name) ? KNOWN[name]! : [];
  return known.length === 0 ? anyPiece : fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...known).map(encoded) }, anyPiece);
}

/** A request that is more or less one of the operation's. */
export function requestFor(path: string, method: string, operation: Operation): fc.Arbitrary<Sent> {
  const segments = path.split(/(\{\w+\})/).filter((segment) => segment !== "");
  const target = fc
    .tuple(...segments.map((segment) => (segment.startsWith("{") ? valueFor(segment.slice(1, -1)) : fc.constant(segment))))
    .map((parts) => parts.join(""));
  const names = operation.parameters.filter(({ in: place }) => place === "query").map(({ name }) => name);
  const name = fc.oneof(...(names.length === 0 ? [] : [{ weight: 6, arbitrary: fc.constantFrom(...names) }]), {
    weight: 1,
    arbitrary: fc.constantFrom(...NAMES),
  });
  const pair = name.chain((key) => valueFor(key).map((value) => `${key}=${value}`));
  const query = fc.oneof(
    fc.constant(""),
    fc.array(pair, { maxLength: 4 }).map((pairs) => pairs.join("&")),
  );
  const types = Object.keys(operation.requestBody?.content ?? {}).filter((type) => !type.includes("*"));
  const declaredType = types.length === 0 ? fc.constant({}) : fc.constantFrom(...types).map((type) => ({ "content-type": type }));
  const schemas = Object.values(operation.requestBody?.content ?? {}).map(({ schema }) => schema as { readonly properties?: object });
  const fields = schemas.flatMap(({ properties }) => Object.keys(properties ?? {}));
  const shaped =
    fields.length === 0
      ? anyBody
      : fc
          .dictionary(
            fc.constantFrom(...fields),
            fc.oneof(fc.constantFrom(...Object.values(KNOWN).flat()), text, fc.integer(), fc.jsonValue()),
          )
          .map((value) => Buffer.from(JSON.stringify(value)));
  const wrongMethod = fc.constantFrom("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS");
  return fc
    .record({
      method: fc.oneof({ weight: 8, arbitrary: fc.constant(method) }, { weight: 1, arbitrary: wrongMethod }),
      target: fc.tuple(target, query).map(([where, search]) => (search === "" ? where : `${where}?${search}`)),
      headers: fc
        .tuple(fc.oneof({ weight: 3, arbitrary: fc.constant({}) }, anyHeaders), declaredType, fc.boolean())
        .map(([some, type, last]) => (last ? { ...some, ...type } : { ...type, ...some })),
      body: fc.option(fc.oneof(anyBody, shaped), { nil: undefined }),
    })
    .map((sent) => (sent.method === "GET" || sent.method === "HEAD" ? { ...sent, body: undefined } : sent));
}
