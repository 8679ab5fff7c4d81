/**
 * Logins by user: from two networks at once, and at an hour or from a network that is not the user's own. The rules are
 * numbered in README.md beside this file. A login that failed says nothing of the user, and is passed over.
 */
import { Type } from "typebox";
import { addressText, isSameAddress, networkOf, parseAddress } from "../logins/address.ts";
import { concurrentSessions, type Login, login, unusualAccess } from "../logins/events.ts";
import { actor } from "../model/actor.ts";
import { value } from "../model/cells/value.ts";
import { job } from "../model/job.ts";
import { ordered } from "../model/operators/ordered.ts";
import { type PumpedEvent, repartition } from "../model/repartition.ts";
import { formatInstant } from "../model/time.ts";
import { Baseline, taught, unusual } from "./baseline.ts";
import { NO_SESSIONS, Sessions, withLogin } from "./sessions.ts";

const Access = Type.Object({ ip: Type.String(), network: Type.String() });

export const loginUser = actor("login-user", {
  in: { login },
  out: { concurrentSessions, unusualAccess },
  state: {
    inTurn: ordered(Access),
    // Longer than any of it is looked at.
    sessions: value(Sessions, NO_SESSIONS).ttl("20m"),
    baseline: value(Baseline).ttl("366d"),
  },
  on: {
    login(ctx, { userId, result, ip }) {
      if (userId !== ctx.key) ctx.quarantine("user-mismatch", "the key is not the userId of the data");
      if (result !== "success") return;
      const address = parseAddress(ip)!;
      ctx.state.inTurn.add({ ip: addressText(address), network: networkOf(address) });
    },
    inTurn(ctx, { element: { ip, network }, time: at }) {
      const userId = ctx.key;
      const { sessions, alert, suppressed } = withLogin(ctx.state.sessions.get(), { ip, network, at });
      ctx.state.sessions.set(sessions);
      if (suppressed) ctx.count("alerts.suppressed");
      if (alert !== undefined) {
        ctx.count("alerts.emitted");
        ctx.out.concurrentSessions({ userId, ...alert });
      }
      const baseline = ctx.state.baseline.get();
      const found = unusual(baseline, at, network);
      ctx.state.baseline.set(taught(baseline, at, network));
      if (found === undefined) return;
      ctx.count("alerts.emitted");
      ctx.out.unusualAccess({ userId, at: formatInstant(at), ip, network, ...found });
    },
  },
});

export default job("logins-by-user", {
  log: "logins-by-user",
  from: [repartition("logins", { streams: [login], key: userOf })],
  actors: [loginUser],
  outOfOrderness: "10s",
  allowedLateness: "5m",
  dedupeHorizon: "24h",
  // An alert waits for the watermark: it is not to wait a minute longer for a log that falls quiet.
  idleAfter: "10s",
});

/** What failed is not needed here, and what the job `logins` sends to quarantine stays there. */
function userOf({ key, data: { userId, result, ip } }: PumpedEvent<Login>): string | undefined {
  return result === "success" && isSameAddress(key, ip) ? userId : undefined;
}
