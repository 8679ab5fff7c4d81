/**
 * Seeded conversations: CloudEvents as NDJSON lines, in the order in which they reach the log. People ask, an assistant
 * answers, tools report, and what goes wrong on the way. The same options always give the same lines. What is kept is the
 * lines that are under way.
 */
import { formatInstant, MINUTE_MS, SECOND_MS } from "../model/time.ts";
import { Dice } from "../random.ts";

export interface ConversationOptions {
  readonly seed: number;
  readonly conversations: number;
  /** The first one begins, milliseconds. */
  readonly start: number;
  /** Between the beginnings of two. Default 8 minutes. */
  readonly everyMs?: number;
  /** What goes wrong on the way. Default true. */
  readonly disorder?: boolean;
}

/** What is wrong with a line. */
export type MessageFault =
  | "duplicate"
  | "other-content"
  | "behind"
  | "late"
  | "poison"
  | "wrong-type"
  | "untyped"
  | "too-long"
  | "no-role"
  | "mismatch";

/** One line: a CloudEvent as JSON, or something that is none. */
export interface MessageLine {
  readonly key: string;
  readonly text: string;
  /** Event time, milliseconds. */
  readonly time: number;
  /** When it reaches the log. */
  readonly arrival: number;
  readonly fault?: MessageFault;
}

interface Said {
  readonly at: number;
  readonly role: string;
  readonly text: string;
}

const JITTER_MS = 1.5 * SECOND_MS;
const SHARES: readonly (readonly [MessageFault | "none", number])[] = [
  ["none", 0.86],
  ["behind", 0.05],
  ["duplicate", 0.02],
  ["late", 0.015],
  ["other-content", 0.012],
  ["poison", 0.008],
  ["wrong-type", 0.008],
  ["mismatch", 0.008],
  ["too-long", 0.006],
  ["no-role", 0.006],
  ["untyped", 0.007],
];

const SUBJECTS = [
  "my invoice",
  "the delivery",
  "a refund",
  "the new contract",
  "my password",
  "the outage",
  "wörter wie Straße",
  "📦 4711",
];
const ASKED = ["Where is", "I still wait for", "What about", "Please look at", "This is the third time I ask about"];
const ANSWERED = ["I have looked at", "There is news of", "I am sorry about", "A colleague takes care of"];

export function* conversationMessages(options: ConversationOptions): Generator<MessageLine> {
  const { seed, conversations, start, everyMs = 8 * MINUTE_MS } = options;
  const dice = new Dice(seed);
  const odd = new Dice(seed ^ 0x5bd1e995);
  let underWay: MessageLine[] = [];
  for (let i = 0; i < conversations; i++) {
    const key = `chat-${String(i + 1).padStart(5, "0")}`;
    const begins = start + i * everyMs;
    for (const [n, said] of talk(dice, begins).entries()) {
      const fault = options.disorder === false ? "none" : odd.weighted(SHARES)!;
      underWay.push(...send(key, `${key}-${n + 1}`, said, fault, odd));
    }
    underWay.sort((a, b) => a.arrival - b.arrival);
    const arrived = underWay.filter(({ arrival }) => arrival < begins + everyMs);
    underWay = underWay.slice(arrived.length);
    yield* arrived;
  }
  yield* underWay;
}

/** Turn by turn: quickly, slowly, or with a break of hours, now and then of more than a day. */
function talk(dice: Dice, begins: number): Said[] {
  const said: Said[] = [];
  const subject = dice.pick(SUBJECTS);
  let at = begins + dice.between(0, MINUTE_MS);
  const say = (role: string, text: string, afterMs: number): void => {
    at += afterMs;
    said.push({ at, role, text });
  };
  if (dice.chance(0.3)) say("system", "Answer briefly.", 0);
  for (let turns = dice.between(1, 14); turns > 0; turns--) {
    say("user", `${dice.pick(ASKED)} ${subject}?`, dice.chance(0.08) ? dice.between(2 * 60, 26 * 60) * MINUTE_MS : pause(dice));
    // Impatient: more at the same instant, or right behind it.
    while (dice.chance(0.15)) say("user", "Hello?", dice.chance(0.4) ? 0 : dice.between(1, 3 * SECOND_MS));
    if (dice.chance(0.2)) say("tool", `{"found":${dice.between(0, 9)},"subject":"${subject}"}`, dice.between(100, SECOND_MS));
    if (dice.chance(0.9)) say("assistant", `${dice.pick(ANSWERED)} ${subject}.`, dice.between(SECOND_MS, 20 * SECOND_MS));
  }
  return said;
}

function pause(dice: Dice): number {
  return dice.chance(0.6) ? dice.between(2 * SECOND_MS, 40 * SECOND_MS) : dice.between(MINUTE_MS, 12 * MINUTE_MS);
}

/** What one message brings to the log: itself, and what goes wrong with it. */
function send(key: string, id: string, { at, role, text }: Said, fault: MessageFault | "none", odd: Dice): MessageLine[] {
  const data = { conversationId: key, role, text };
  const event = { specversion: "1.0", id, source: "/conversations", type: "message", subject: key, time: formatInstant(at), data };
  const line = { key, text: JSON.stringify(event), time: at, arrival: at + odd.between(0, JITTER_MS) };
  if (fault === "none") return [line];
  const other = (change: object, afterMs = 0): MessageLine => {
    return { ...line, text: JSON.stringify({ ...event, ...change }), arrival: line.arrival + afterMs, fault };
  };
  const oddId = `${id}-odd`;
  switch (fault) {
    case "behind":
      return [other({}, odd.between(3 * SECOND_MS, 55 * SECOND_MS))];
    case "late":
      return [other({}, odd.between(70 * SECOND_MS, 20 * MINUTE_MS))];
    case "duplicate":
      return [line, other({}, odd.between(0, 20 * MINUTE_MS))];
    case "other-content":
      return [line, other({ data: { ...data, text: `${text} (edited)` } }, odd.between(0, 20 * MINUTE_MS))];
    case "poison":
      return [{ ...line, text: line.text.slice(0, line.text.length - 20), fault }, line];
    case "wrong-type":
      return [other({ id: oddId, data: { ...data, text: { parts: [text] } } }), line];
    case "untyped":
      return [other({ id: oddId, type: undefined }), line];
    case "too-long":
      return [other({ id: oddId, data: { ...data, text: "na ".repeat(2_731) } }), line];
    case "no-role":
      return [other({ id: oddId, data: { ...data, role: "" } }), line];
    case "mismatch":
      return [other({ id: oddId, data: { ...data, conversationId: `${key}-b` } }), line];
  }
}
