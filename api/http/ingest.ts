/** Events into a log: CloudEvents over HTTP in all three modes, answered with their positions. */
import type { IncomingHttpHeaders } from "node:http";
import { Type } from "typebox";
import { formatPosition } from "../../actors/model/position.ts";
import { type ErrorCode, isTidemarkError } from "../../runtime/errors.ts";
import type { KeyedEvent, PublishResult } from "../../runtime/log/log-publisher.ts";
import type { Node } from "../../runtime/node/node.ts";
import { type IncomingEvent, readCloudEvents } from "./cloud-events.ts";
import { EventIntake } from "./event-intake.ts";
import { slotMapOf } from "./log-of-node.ts";
import type { Route, RouteAnswer } from "./route.ts";
import { Key, Position } from "./shapes.ts";

/** A batch of events, far over what one of them may have. */
const BODY_MAX_BYTES = 4 * 1024 * 1024;
const RETRY_AFTER = { "retry-after": "1" };

const Refused = Type.Object({
  id: Type.Union([Type.String(), Type.Null()], { description: "null when the event has none." }),
  error: Type.Object({ code: Type.String(), detail: Type.String() }),
});
const Results = Type.Object({
  results: Type.Array(Type.Union([Type.Object({ id: Type.String(), key: Key, position: Position }), Refused]), {
    description: "One for each event, in order.",
  }),
});

type Result =
  | { readonly id: string; readonly key: string; readonly position: string }
  | { readonly id: string | null; readonly error: { readonly code: ErrorCode; readonly detail: string } };

export function ingestRoutes(node: Node): readonly Route[] {
  const intakes = new Map<string, EventIntake>();
  return [
    {
      method: "POST",
      path: "/v1/logs/{log}/events",
      role: "operator",
      summary: "Appends CloudEvents in structured, binary or batch mode; 200 all, 207 some, 400, 429, 503 or 507 none",
      params: Type.Object({ log: Type.String() }),
      // Binary mode: the content type is the data's, so any is taken.
      body: { raw: ["*/*"] },
      bodyMaxBytes: BODY_MAX_BYTES,
      answers: { 200: Results, 207: Results, 400: Results, 429: Results, 503: Results, 507: Results },
      handle: async ({ params, headers, body }) => {
        const log = params.log!;
        const map = slotMapOf(node, log);
        const events = readCloudEvents(body as Buffer, headers as IncomingHttpHeaders);
        let intake = intakes.get(log);
        if (intake === undefined) {
          intake = new EventIntake(node.nc, log, map);
          intakes.set(log, intake);
        }
        return await publish(intake, events);
      },
    },
  ];
}

async function publish(intake: EventIntake, events: readonly IncomingEvent[]): Promise<RouteAnswer> {
  const keyed: KeyedEvent[] = [];
  for (const event of events) if ("key" in event) keyed.push({ key: event.key, payload: event.bytes });
  const outcomes = keyed.length === 0 ? [] : await intake.publish(keyed);
  let next = 0;
  const results = events.map((event): Result => {
    return "key" in event ? resultOf(event.id, event.key, outcomes[next++]!) : { id: event.id, error: event.refusal };
  });
  const status = statusOf(results);
  return { status, headers: status === 429 || status === 503 ? RETRY_AFTER : {}, body: { results } };
}

function resultOf(id: string, key: string, outcome: PublishResult): Result {
  if (isTidemarkError(outcome)) return { id, error: { code: outcome.code, detail: outcome.message } };
  return { id, key, position: formatPosition(outcome.partition, outcome.sequence, outcome.index) };
}

/** 400: never this event again. 429, 503: the same again later. 507: when the log has room again. */
function statusOfRefusal(code: ErrorCode): 400 | 429 | 503 | 507 {
  switch (code) {
    case "EVENT_INVALID":
    case "EVENT_TOO_LARGE":
    case "KEY_INVALID":
      return 400;
    case "PUBLISH_OVERLOADED":
      return 429;
    case "LOG_FULL":
      return 507;
    default:
      return 503;
  }
}

/** With none appended: why, the one that is worth another try before the one that is not. */
function statusOf(results: readonly Result[]): number {
  const refusals = results.flatMap((result) => ("error" in result ? [statusOfRefusal(result.error.code)] : []));
  if (refusals.length === 0) return 200;
  if (refusals.length < results.length) return 207;
  return ([503, 429, 507] as const).find((status) => refusals.includes(status)) ?? 400;
}
