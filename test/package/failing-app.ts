/** A job whose handler fails at once: its stack, in the node's log, tells which modules a worker thread runs. */
import { actor, job, stream, Type } from "tidemark";

const failing = actor("failing", {
  in: { placed: stream("order.placed", { schema: Type.Object({ amount: Type.Number() }) }) },
  on: {
    placed() {
      throw new Error("planted");
    },
  },
});

export default job("failing", { log: "orders", actors: [failing] });
