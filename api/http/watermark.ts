/** The end of a bounded input: an entry in every partition of a log that lifts the watermark of all its jobs. */
import { Type } from "typebox";
import { writeWatermark } from "../../actors/fold/journal.ts";
import { controlSubject } from "../../actors/fold/subject.ts";
import { formatPosition } from "../../actors/model/position.ts";
import { formatInstant, parseInstant } from "../../actors/model/time.ts";
import { NatsPartitionLog } from "../../runtime/log/nats-partition-log.ts";
import type { Node } from "../../runtime/node/node.ts";
import { slotMapOf } from "./log-of-node.ts";
import { badRequest } from "./problem.ts";
import type { Route } from "./route.ts";
import { Instant, Position } from "./shapes.ts";

const Time = Type.Object({
  time: Type.String({ maxLength: 64, description: "RFC 3339 with a zone. Nothing older comes.", examples: ["2026-03-06T00:00:00Z"] }),
});

export function watermarkRoutes(node: Node): readonly Route[] {
  return [
    {
      method: "POST",
      path: "/v1/logs/{log}/watermark",
      role: "operator",
      summary: "Appends to every partition an entry that lifts the watermark: nothing older comes",
      params: Type.Object({ log: Type.String() }),
      body: Time,
      answers: {
        200: Type.Object({ log: Type.String(), time: Instant, positions: Type.Array(Position, { description: "By partition." }) }),
      },
      command: true,
      handle: async ({ params, body }) => {
        const log = params.log!;
        const { partitions } = slotMapOf(node, log);
        const instant = parseInstant((body as { readonly time: string }).time);
        if (instant === undefined) throw badRequest("time: write an RFC 3339 date-time with a zone, like 2026-03-06T00:00:00Z.");
        const time = formatInstant(instant);
        return { status: 200, body: { log, time, positions: await lift(node, log, partitions, time) } };
      },
    },
  ];
}

/** When one partition fails others may have it already: a watermark never falls, so the same again does no harm. */
async function lift(node: Node, log: string, partitions: number, time: string): Promise<string[]> {
  const payload = Buffer.from(writeWatermark(time));
  const appends = Array.from({ length: partitions }, async (_, partition) => {
    const sequence = await new NatsPartitionLog(node.nc, log, partition).append(controlSubject(log, partition), payload);
    return formatPosition(partition, sequence, 0);
  });
  return await Promise.all(appends);
}
