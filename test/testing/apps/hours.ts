/** Prints the hour that a handler sees at five o'clock UTC: a process of its own, for a zone is one of a process. */
import { Type } from "typebox";
import { actor } from "../../../actors/model/actor.ts";
import { job } from "../../../actors/model/job.ts";
import { output, stream } from "../../../actors/model/stream.ts";
import { testJob } from "../../../runtime/testing/testing.ts";

const hours = actor("hours", {
  in: { ask: stream("ask", { schema: Type.Object({}) }) },
  out: { hour: output("hour", { schema: Type.Object({ hour: Type.Integer() }) }) },
  on: { ask: (ctx) => ctx.out.hour({ hour: new Date(ctx.now).getHours() }) },
});

const kit = await testJob(job("hours", { log: "hours", actors: [hours] }), { start: "2026-07-01T05:00:00Z" });
await kit.send("ask", "k", {});
console.log(kit.outputs("hour")[0]?.data.hour);
