/** Logins come to the job by user through its pump: those that succeeded, under the address that they came from. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { login } from "../../actors/logins/events.ts";
import { loginEvents } from "../../actors/logins/generate.ts";
import loginsByUser, { loginUser } from "../../actors/logins-by-user/logins-by-user.ts";
import { testJob } from "../../runtime/testing/testing.ts";
import { DAY, HOUR, T0 } from "./gate.ts";
import { plainUsers } from "./plain-users.ts";

test("logins that succeed come from all addresses of a user, and no others", async () => {
  await using kit = await testJob(loginsByUser, { start: T0 + DAY });
  const source = kit.from("logins");
  const send = (key: string, result: "failed" | "success", ip = key): Promise<string> =>
    source.send(login, key, { userId: "amara", result, ip }, { time: T0 });
  await send("192.0.2.1", "success");
  await send("198.51.100.7", "failed");
  await send("198.51.100.7", "success", "203.0.113.5");
  await send("2001:db8:1::7", "success", "2001:DB8:1:0::7");
  await source.advanceWatermark(T0 + HOUR);
  assert.deepEqual(
    kit.outputs("concurrentSessions").map(({ key, data }) => [key, data.ips]),
    [["amara", ["192.0.2.1", "2001:db8:1::7"]]],
  );
  assert.equal(kit.counts.in, 2);
  assert.deepEqual(kit.quarantined(), []);
});

test("a success of a user whose name can be no key is told of", async () => {
  await using kit = await testJob(loginsByUser, { start: T0 + DAY });
  for (const userId of ["", "x".repeat(300)])
    await kit.from("logins").send(login, "192.0.2.1", { userId, result: "success", ip: "192.0.2.1" }, { time: T0 });
  assert.deepEqual(
    kit.quarantined().map(({ data }) => data.code),
    ["pump-key", "pump-key"],
  );
});

test("the sample's people give the alerts that the rules have for them, whichever addresses they came from", async () => {
  const lines = [...loginEvents({ seed: 7, people: 8, days: 14, start: T0 - (T0 % DAY), disorder: false })];
  await using kit = await testJob(loginsByUser, { start: T0 + 30 * DAY, partitions: 2 });
  const events = lines.map(({ text, time }) => ({
    ...(JSON.parse(text) as { id: string; source: string; subject: string; data: never }),
    time,
  }));
  for (const { id, source, subject, time, data } of events) await kit.from("logins").send(login, subject, data, { id, source, time });
  await kit.from("logins").advanceWatermark(T0 + 20 * DAY);
  const byUser = events
    .filter(({ data }) => (data as { result: string }).result === "success")
    .map(({ time, ...event }) =>
      JSON.stringify({ ...event, type: "login", subject: (event.data as { userId: string }).userId, time: new Date(time).toISOString() }),
    );
  const { alerts } = plainUsers([...byUser, T0 + 20 * DAY]);
  const text = ({ type, key, time, data }: { type: string; key?: string | undefined; time: number; data: object }): string =>
    `${key} ${time} ${type} ${JSON.stringify(data)}`;
  assert(alerts.length > 10);
  assert.deepEqual(kit.outputs().map(text).sort(), alerts.map(text).sort());
  assert.equal(kit.actor(loginUser, "amara")!.state.baseline!.logins > 5, true);
});
