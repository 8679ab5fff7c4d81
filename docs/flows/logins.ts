/** The job logins as a flow: the outputs of actors/logins/logins.ts, by the same rules strung together otherwise. */
import { Type } from "typebox";
import { addressText, isSameAddress, parseAddress } from "../../actors/logins/address.ts";
import { breachSuspected, failedLogins, login } from "../../actors/logins/events.ts";
import { type Failures, failed, NO_RUN, Run, succeeded } from "../../actors/logins/failures.ts";
import { value } from "../../actors/model/cells/value.ts";
import { flow } from "../../actors/model/flow/flow.ts";
import { ordered } from "../../actors/model/operators/ordered.ts";
import { formatInstant, parseInstant } from "../../actors/model/time.ts";

const Attempt = Type.Object({ userId: Type.String(), succeeded: Type.Boolean() });
const OPTIONS = { log: "logins", outOfOrderness: "10s", allowedLateness: "5m", dedupeHorizon: "24h", idleAfter: "10s" };

export default flow("logins", OPTIONS, ({ from }) => {
  const judged = from(login)
    .flatMapWith({ spelling: value(Type.Boolean()).ttl("24h") }, ({ userId, result, ip }, { spelling }, at) => {
      if (!isSameAddress(at.key, ip)) at.quarantine("ip-mismatch", `the key is "${at.key}", and the login came from "${ip}"`);
      const address = addressText(parseAddress(ip)!);
      if (address !== at.key && !spelling.get()) {
        spelling.set(true);
        at.quality("key-spelling", { key: at.key, address });
      }
      return [{ userId: userId.slice(0, 256).toWellFormed(), succeeded: result === "success" }];
    })
    .through("inTurn", ordered(Attempt))
    .flatMapWith({ run: value(Run, NO_RUN).ttl("20m") }, ({ element, time }, { run }, at) => {
      const found = element.succeeded ? succeeded(run.get(), time) : failed(run.get(), time, element.userId);
      run.set(found.run);
      if (found.suppressed) at.count("alerts.suppressed");
      if (found.alert !== undefined) at.count("alerts.emitted");
      if (found.breach !== undefined) at.count("alerts.emitted");
      return [{ ...found, userId: element.userId, time }];
    });

  judged
    .flatMap(({ alert }, { key }) => (alert === undefined ? [] : [attemptsOf(key, alert)]))
    .to(failedLogins, { time: ({ lastAt }) => parseInstant(lastAt)! });

  judged
    .flatMap(({ breach, userId, time }, { key }) =>
      breach === undefined ? [] : [{ ...attemptsOf(key, breach), userId, succeededAt: formatInstant(time) }],
    )
    .to(breachSuspected);
});

function attemptsOf(ip: string, failures: Failures) {
  const users = [...new Set(failures.map(({ userId }) => userId))].sort();
  const [first, last] = [failures[0]!, failures.at(-1)!];
  return { ip, failedAttempts: failures.length, firstAt: formatInstant(first.at), lastAt: formatInstant(last.at), users };
}
