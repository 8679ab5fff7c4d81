/**
 * Logins by address: many that fail, and one that succeeds behind them. The rules are numbered in README.md beside this
 * file. Logins are judged in the order of their times, so each waits until the watermark has passed it.
 */
import { Type } from "typebox";
import { actor, type ContextOf } from "../model/actor.ts";
import { value } from "../model/cells/value.ts";
import { job } from "../model/job.ts";
import { ordered } from "../model/operators/ordered.ts";
import { formatInstant } from "../model/time.ts";
import { addressText, isSameAddress, parseAddress } from "./address.ts";
import { breachSuspected, failedLogins, login } from "./events.ts";
import { type Failures, failed, NO_RUN, Run, succeeded } from "./failures.ts";

/** What is kept of a user's name. */
const USER_MAX_CHARS = 256;

const Attempt = Type.Object({ userId: Type.String(), succeeded: Type.Boolean() });

const declared = {
  out: { failedLogins, breachSuspected },
  state: {
    inTurn: ordered(Attempt),
    // Ten minutes of a run, and the five that a login may come behind.
    run: value(Run, NO_RUN).ttl("20m"),
    /** It was told that the key is not the text of its address. */
    spelling: value(Type.Boolean()).ttl("24h"),
  },
};
type IpContext = ContextOf<typeof declared>;

export const ip = actor("ip", {
  in: { login },
  ...declared,
  on: {
    login(ctx, { userId, result, ip }) {
      checkKey(ctx, ip);
      ctx.state.inTurn.add({ userId: userId.slice(0, USER_MAX_CHARS).toWellFormed(), succeeded: result === "success" });
    },
    inTurn(ctx, { element, time }) {
      const run = ctx.state.run.get();
      const judged = element.succeeded ? succeeded(run, time) : failed(run, time, element.userId);
      ctx.state.run.set(judged.run);
      if (judged.suppressed) ctx.count("alerts.suppressed");
      if (judged.alert !== undefined) {
        ctx.count("alerts.emitted");
        ctx.out.failedLogins(attemptsOf(ctx.key, judged.alert), { time: judged.alert.at(-1)!.at });
      }
      if (judged.breach !== undefined) {
        ctx.count("alerts.emitted");
        const { userId } = element;
        ctx.out.breachSuspected({ ...attemptsOf(ctx.key, judged.breach), userId, succeededAt: formatInstant(time) }, { time });
      }
    },
  },
});

export default job("logins", {
  log: "logins",
  actors: [ip],
  outOfOrderness: "10s",
  allowedLateness: "5m",
  dedupeHorizon: "24h",
  // An alert waits for the watermark: it is not to wait a minute longer for a log that falls quiet.
  idleAfter: "10s",
});

/** Each spelling of one address is a key of its own, so failures under two of them are not counted together: that is told. */
function checkKey(ctx: IpContext, ip: string): void {
  if (!isSameAddress(ctx.key, ip)) ctx.quarantine("ip-mismatch", `the key is "${ctx.key}", and the login came from "${ip}"`);
  const address = addressText(parseAddress(ip)!);
  if (address === ctx.key || ctx.state.spelling.get()) return;
  ctx.state.spelling.set(true);
  ctx.quality("key-spelling", { key: ctx.key, address });
}

function attemptsOf(ip: string, failures: Failures) {
  const users = [...new Set(failures.map(({ userId }) => userId))].sort();
  const [first, last] = [failures[0]!, failures.at(-1)!];
  return { ip, failedAttempts: failures.length, firstAt: formatInstant(first.at), lastAt: formatInstant(last.at), users };
}
